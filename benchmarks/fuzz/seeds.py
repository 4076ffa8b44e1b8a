"""What fuzzing begins with: small pictures and videos of every kind that our own encoders write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import av.error
import cv2
import numpy as np

from agegender.shared.images.pictures import Bgr

_PICTURES = (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm", ".pam", ".ras", ".hdr", ".jp2", ".gif")
_VIDEOS = (
    ("mp4", "libx264"),
    ("mp4", "mpeg4"),
    ("matroska", "libx264"),
    ("mpegts", "mpeg2video"),
    ("avi", "mjpeg"),
    ("webm", "libvpx"),
    ("h264", "libx264"),
    ("hevc", "libx265"),
    ("gif", "gif"),
    ("flv", "flv"),
    ("mpeg", "mpeg1video"),
)
_SIZE_PX = 32
_FRAMES = 4


def videos() -> Mapping[str, bytes]:
    """Container and codec → a video of four frames; kinds that this build cannot write are left out."""
    return dict(_videos())


def write_seeds(target: str, folder: Path) -> None:
    """Fills `folder` with files for a target; kinds that this build cannot write are left out."""
    for number, data in enumerate(videos().values() if target == "video" else _pictures()):
        (folder / f"seed-{number:02}").write_bytes(data)


def _shown(number: int) -> Bgr:
    ramp = np.arange(_SIZE_PX * _SIZE_PX * 3, dtype=np.uint32).reshape(_SIZE_PX, _SIZE_PX, 3)
    return (ramp * 7 + 40 * number).astype(np.uint8)


def _pictures() -> Iterator[bytes]:
    for suffix in _PICTURES:
        try:
            ok, data = cv2.imencode(suffix, _shown(0))
        except cv2.error:
            continue
        if ok:
            yield data.tobytes()


def _videos() -> Iterator[tuple[str, bytes]]:
    with TemporaryDirectory() as folder:
        for container, codec in _VIDEOS:
            path = Path(folder) / "video"
            try:
                _write(path, container, codec)
            except (av.error.FFmpegError, ValueError):
                continue
            yield f"{container} {codec}", path.read_bytes()


def _write(path: Path, container: str, codec: str) -> None:
    with av.open(str(path), "w", format=container) as file:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        video: Any = file.add_stream(codec, rate=25, options=options)
        video.width = video.height = 64
        formats = {"gif": "rgb8", "mjpeg": "yuvj420p"}
        video.pix_fmt = formats.get(codec, "yuv420p")
        for number in range(_FRAMES):
            shown = np.asarray(cv2.resize(_shown(number), (64, 64)), np.uint8)
            frame = av.VideoFrame.from_ndarray(shown, format="bgr24")
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
