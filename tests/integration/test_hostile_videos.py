"""Files made to do harm: they open nothing else, and what they claim to be costs neither memory nor time."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agegender.services.ingest.sources.stills import read_still
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.services.ingest.sources.video_file import VideoFileStream
from agegender.shared.images.pictures import OversizePicture
from agegender.shared.images.sizes import MAX_PICTURE_BYTES
from agegender.simulator.content.clips import write_video
from tests.support.hostile_videos import files_that_name, write_h264
from tests.support.own_memory import with_own_peak

_ROOT = Path(__file__).parents[2]


def frames(path: Path) -> int:
    stream = VideoFileStream(str(path))
    try:
        return sum(1 for _ in stream.frames())
    finally:
        stream.close()


@pytest.mark.parametrize("name", files_that_name(Path("other.ts"), "http://127.0.0.1:1"))
def test_a_playlist_opens_neither_files_nor_connections(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other.ts"
    write_video(
        tmp_path / "other.mp4", (np.zeros((64, 64, 3), np.uint8) for _ in range(5)), size_wh=(64, 64), fps=5
    )
    (tmp_path / "other.mp4").rename(other)
    assert frames(other) == 5
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = tmp_path / name
        path.write_text(files_that_name(other, f"http://127.0.0.1:{listener.getsockname()[1]}")[name])
        with pytest.raises(CameraError) as error:
            frames(path)
        assert error.value.reason is FailureReason.NOT_VIDEO
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


_MEMORY = """
import resource, sys
from agegender.services.ingest.sources.stream import CameraError
from agegender.services.ingest.sources.video_file import VideoFileStream
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    next(VideoFileStream(sys.argv[1]).frames())
except CameraError as error:
    print(error)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown // (1024 * 1024 if sys.platform == "darwin" else 1024))
"""


def test_a_video_of_256_megapixels_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "huge.h264"
    write_h264(path, claims_px=64)
    assert frames(path) == 5
    write_h264(path, claims_px=16_000)
    done = subprocess.run(
        with_own_peak([sys.executable, "-c", _MEMORY, path]),
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told, grown_mb = done.stdout.splitlines()
    assert told == "16000 x 16000 pixels are more than the 50000000 allowed"
    assert int(grown_mb) < 300, "a single frame would take 384 MB"


def test_a_picture_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_PICTURE_BYTES + 1)
    with pytest.raises(OversizePicture, match=f"{MAX_PICTURE_BYTES + 1} bytes, more than the"):
        read_still(path)
