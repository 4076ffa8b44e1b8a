"""Every kind of video that is at hand is read to its end, whichever way its container tells its streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ingest.video_file import VideoFileStream
from tests.fuzz.seeds import videos

USUAL = ("mp4 libx264", "matroska libx264", "mpegts mpeg2video", "avi mjpeg", "flv flv", "mpeg mpeg1video")


@pytest.fixture(scope="module")
def kinds() -> dict[str, bytes]:
    return dict(videos())


@pytest.mark.parametrize("kind", USUAL)
def test_all_frames_of_a_video_are_read(kinds: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "video"
    path.write_bytes(kinds[kind])
    stream = VideoFileStream(str(path))
    try:
        assert [frame.picture().shape for frame in stream.frames()] == [(64, 64, 3)] * 4
    finally:
        stream.close()
