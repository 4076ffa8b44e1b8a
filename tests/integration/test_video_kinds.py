"""Every kind of video that is at hand is read to its end, whichever way its container tells its streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.services.ingest.sources.video_file import VideoFileStream
from benchmarks.fuzz.seeds import videos

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


def test_a_video_in_an_unknown_codec_is_refused_as_such(kinds: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "video"
    # The name of the codec in the description of the samples (ISO/IEC 14496-15, section 5.4.2.1).
    assert kinds["mp4 libx264"].count(b"avc1") == 2
    path.write_bytes(kinds["mp4 libx264"].replace(b"avc1", b"zzzz"))
    with pytest.raises(CameraError, match="an unsupported codec") as raised:
        VideoFileStream(str(path))
    assert raised.value.reason is FailureReason.NOT_VIDEO
