"""Files of every kind, read as the tool reads them: the tables of docs/formats.md.

`python -m tests.support.formats` writes these tables anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np

from agegender.services.ingest.sources.kinds import FileKind, kind_of
from agegender.services.ingest.sources.stills import page_count, read_still
from agegender.services.ingest.sources.stream import CameraError
from agegender.services.ingest.sources.video_file import video_stream
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from tests.support.faces import astronaut

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
BEGIN, END = "<!-- tables of tests/support/formats.py -->\n", "<!-- end of the tables -->\n"
_SIDE_PX = 256
_FRAMES = 6
_MOST_ERROR = 20  # of 255, on average: what lossy codecs lose
_STILLS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "AVIF": ".avif",
    "TIFF": ".tiff",
    "BMP": ".bmp",
    "GIF": ".gif",
    "JPEG 2000": ".jp2",
    "PPM": ".ppm",
    "PAM": ".pam",
    "Sun raster": ".ras",
}
_ANIMATIONS = {"animated GIF": ".gif", "animated WebP": ".webp", "APNG": ".png", "animated AVIF": ".avif"}
_VIDEOS = {
    "MP4, H.264": ("mp4", "libx264"),
    "MP4, H.265": ("mp4", "libx265"),
    "MP4, MPEG-4": ("mp4", "mpeg4"),
    "MOV, H.264": ("mov", "libx264"),
    "Matroska, H.264": ("matroska", "libx264"),
    "WebM, VP8": ("webm", "libvpx"),
    "WebM, VP9": ("webm", "libvpx-vp9"),
    "AVI, Motion JPEG": ("avi", "mjpeg"),
    "MPEG-TS, MPEG-2": ("mpegts", "mpeg2video"),
    "MPEG-PS, MPEG-1": ("mpeg", "mpeg1video"),
    "FLV": ("flv", "flv"),
    "ASF, WMV 2": ("asf", "wmv2"),
    "YUV4MPEG": ("yuv4mpegpipe", "wrapped_avframe"),
    "bare H.264": ("h264", "libx264"),
    "bare H.265": ("hevc", "libx265"),
}


def tables() -> str:
    """Both tables, as Markdown."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"  # without a suffix: the content alone says what it is
        lines = ["| picture | read |", "|---|---|"]
        lines += [f"| {name} | {_reading(path, data)} |" for name, data in _pictures().items()]
        lines += ["", "| video or animation | read |", "|---|---|"]
        lines += [f"| {name} | {_reading(path, data)} |" for name, data in _videos(path)]
    return "\n".join(lines) + "\n"


def _shown() -> Bgr:
    return np.asarray(cv2.resize(astronaut(), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _pictures() -> Mapping[str, bytes]:
    shown = _shown()
    grey = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY)
    rows = shown[::-1].tobytes()
    os2 = struct.pack("<2sIHHIIHHHH", b"BM", 26 + len(rows), 0, 0, 26, 12, _SIDE_PX, _SIDE_PX, 1, 24) + rows
    ten_bits = (grey.astype(np.uint32) * 1023 // 255).astype(">u2").tobytes()
    return {
        **{name: cv2.imencode(suffix, shown)[1].tobytes() for name, suffix in _STILLS.items()},
        "PNG, 16 bits": cv2.imencode(".png", shown.astype(np.uint16) * 257)[1].tobytes(),
        "PGM of 10 bits": b"P5\n%d %d\n1023\n" % grey.shape[::-1] + ten_bits,
        "BMP of OS/2": os2,
        "TIFF of three pages": cv2.imencodemulti(".tiff", [shown] * 3)[1].tobytes(),
        "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
    }


def _videos(path: Path) -> Iterator[tuple[str, bytes]]:
    for name, suffix in _ANIMATIONS.items():
        animation = cv2.Animation()
        animation.frames = [cv2.cvtColor(_moved(number), cv2.COLOR_BGR2BGRA) for number in range(_FRAMES)]
        animation.durations = [100] * _FRAMES
        named = path.with_suffix(suffix)
        cv2.imwriteanimation(str(named), animation)
        yield name, named.read_bytes()
    for name, (container, codec) in _VIDEOS.items():
        with av.open(str(path), "w", format=container) as file:
            options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
            video: Any = file.add_stream(codec, rate=25, options=options)
            video.width = video.height = _SIDE_PX
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(_FRAMES):
                frame = av.VideoFrame.from_ndarray(_moved(number), format="bgr24")
                file.mux(video.encode(frame.reformat(format=video.pix_fmt)))
            file.mux(video.encode(None))
        yield name, path.read_bytes()


def _moved(number: int) -> Bgr:
    return np.roll(_shown(), 4 * number, axis=1)


def _reading(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        if kind_of(path) is FileKind.PICTURE:
            pages = page_count(path)
            right = sum(_is_like(read_still(path, page), _shown()) for page in range(pages))
            return _whole(right, pages, "page")
        stream = video_stream(str(path))
        try:
            frames = [frame.picture() for frame in stream.frames()]
        finally:
            stream.close()
    except (UnreadablePicture, CameraError) as error:
        return f"no: {error}"
    right = sum(_is_like(one, _moved(number)) for number, one in enumerate(frames))
    return _whole(right, _FRAMES, "frame")


def _is_like(read: Bgr, written: Bgr) -> bool:
    return read.shape == written.shape and float(np.abs(read.astype(int) - written).mean()) < _MOST_ERROR


def _whole(right: int, of: int, what: str) -> str:
    if right == of:
        return "whole" if of == 1 else f"whole, all {what}s"
    return f"in part: {right} of {of} {what}s"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + tables() + END + after, encoding="utf-8")
