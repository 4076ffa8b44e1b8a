"""Whether a video's end is missing, by what its container says of its own length."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agegender.services.ingest.sources.cut_short import is_cut_short

MP4, MATROSKA, AVI, ASF = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf"


def box(kind: bytes, data: bytes, *, stated: int | None = None, wide: bool = False) -> bytes:
    length = (16 if wide else 8) + len(data) if stated is None else stated
    if wide:
        return (1).to_bytes(4, "big") + kind + length.to_bytes(8, "big") + data
    return length.to_bytes(4, "big") + kind + data


def element(name: str, data: bytes, stated: bytes | None = None) -> bytes:
    """Of EBML; its length in eight bytes, or `stated` as it stands in the file."""
    length = b"\x01" + len(data).to_bytes(7, "big") if stated is None else stated
    return bytes.fromhex(name) + length + data


def riff(data: bytes, stated: int | None = None) -> bytes:
    return b"RIFF" + (len(data) if stated is None else stated).to_bytes(4, "little") + data


def asf(data: bytes, stated: int | None = None) -> bytes:
    header = bytes(16) + (40).to_bytes(8, "little") + bytes(16)
    length = 24 + len(data) if stated is None else stated
    return header + bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c") + length.to_bytes(8, "little") + data


_MOOV, _MEDIA = box(b"moov", bytes(30)), bytes(100)
_EBML = element("1a45dfa3", bytes(20), b"\x94")
_ENDS_WITH_MEDIA = {
    "index in front": (MP4, _MOOV + box(b"mdat", _MEDIA)),
    "64-bit length": (MP4, _MOOV + box(b"mdat", _MEDIA, wide=True)),
    "fragments": (MP4, _MOOV + (box(b"moof", bytes(20)) + box(b"mdat", _MEDIA)) * 3),
    "segment": (MATROSKA, _EBML + element("18538067", _MEDIA)),
    "segment behind a gap": (
        MATROSKA,
        _EBML + element("ec", bytes(9), b"\x40\x09") + element("18538067", _MEDIA),
    ),
    "one chunk": (AVI, riff(b"AVI " + _MEDIA)),
    "two chunks": (AVI, riff(b"AVI " + _MEDIA + b"\0") + b"\0" + riff(b"AVIX" + _MEDIA)),
    "data": (ASF, asf(_MEDIA)),
}
_HONEST = {
    "media to the end of the file": (MP4, _MOOV + box(b"mdat", _MEDIA, stated=0)),
    "a photo's video, with more behind it": (MP4, _MOOV + box(b"mdat", _MEDIA) + b"SEFT a phone's own notes"),
    "live": (MATROSKA, _EBML + element("18538067", _MEDIA, b"\x01" + b"\xff" * 7)),
    "live, in a byte": (MATROSKA, _EBML + element("18538067", _MEDIA, b"\xff")),
    "not finished": (AVI, riff(b"AVI " + _MEDIA, 0)),
    "piped": (AVI, riff(b"AVI " + _MEDIA, 2**32 - 1)),
    "broadcast": (ASF, asf(_MEDIA, 0)),
    "no such container": ("mpegts", _MOOV + box(b"mdat", b"", stated=1000)),
}


@pytest.mark.parametrize("kind", _ENDS_WITH_MEDIA)
def test_a_file_is_cut_short_where_so_much_as_a_byte_is_missing(tmp_path: Path, kind: str) -> None:
    container, data = _ENDS_WITH_MEDIA[kind]
    path = tmp_path / "video"
    for missing in (0, 1, len(_MEDIA) // 2):
        path.write_bytes(data[: len(data) - missing])
        assert is_cut_short(path, container) == (missing > 0)


@pytest.mark.parametrize("kind", _HONEST)
def test_a_file_that_states_no_end_has_it(tmp_path: Path, kind: str) -> None:
    container, data = _HONEST[kind]
    path = tmp_path / "video"
    path.write_bytes(data)
    assert not is_cut_short(path, container)


@pytest.mark.parametrize("container", [MP4, MATROSKA, AVI, ASF])
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 64, bytes(64), b"\x01" * 64, b"RIFF", b"\x10\x00"])
def test_no_bytes_are_an_error(tmp_path: Path, container: str, data: bytes) -> None:
    path = tmp_path / "video"
    path.write_bytes(data)
    assert is_cut_short(path, container) in (True, False)
    assert not is_cut_short(tmp_path / "none", container)


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mp4", {}),
        ("mp4", {"movflags": "faststart"}),
        ("mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("mov", {}),
        ("matroska", {}),
        ("matroska", {"live": "1"}),
        ("webm", {}),
        ("avi", {}),
        ("asf", {}),
    ],
)
def test_longer_sound_and_uneven_frames_do_not_mean_cut_short(
    tmp_path: Path, container: str, options: dict[str, str]
) -> None:
    path = tmp_path / "video"
    codecs = ("libvpx", "libopus") if container == "webm" else ("mpeg4", "aac")
    with av.open(str(path), "w", format=container, options=options) as file:
        video: Any = file.add_stream(codecs[0], rate=25)
        sound: Any = file.add_stream(codecs[1], rate=48_000)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for time_s in (0.4, 0.44, 1.6, 2.0):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = round(time_s * 25), Fraction(1, 25)
            file.mux(video.encode(frame))
        for number in range(5 * 48):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1_000), np.float32), "fltp", "mono")
            silence.pts, silence.sample_rate = 1_000 * number, 48_000
            file.mux(sound.encode(silence))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    with av.open(str(path)) as whole:
        name = whole.format.name
    assert not is_cut_short(path, name)
