"""What is fuzzed: the ways of bytes from outside into a decoder, each as a function of bytes.

A target returns for all bytes. An unexpected exception is a finding, and so is a crash, a hang, or the use of
too much memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agegender.services.ingest.sources.stream import CameraError
from agegender.services.ingest.sources.video_file import VideoFileStream
from agegender.shared.images.pictures import UnreadablePicture, decode_picture

_MOST_PIXELS = 4_000_000  # larger ones are refused, which takes less time
_MOST_FRAMES = 20

Target = Callable[[bytes], None]


def picture(data: bytes) -> None:
    """A picture file, or the JPEG in a message."""
    with contextlib.suppress(UnreadablePicture):
        decode_picture(data, _MOST_PIXELS)


def video(data: bytes) -> None:
    """A video file."""
    with tempfile.NamedTemporaryFile(dir=_memory_folder()) as file:
        Path(file.name).write_bytes(data)
        with contextlib.suppress(CameraError):
            stream = VideoFileStream(file.name)
            try:
                for frame in itertools.islice(stream.frames(), _MOST_FRAMES):
                    with contextlib.suppress(UnreadablePicture):
                        frame.picture()
            finally:
                stream.close()


def _memory_folder() -> str | None:
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK) else None


def _crashes(data: bytes) -> None:
    if data.startswith(b"\xff\xd8"):
        ctypes.string_at(0)


def _hangs(data: bytes) -> None:
    while data.startswith(b"\xff\xd8"):
        pass


def _hoards(data: bytes) -> None:
    while data.startswith(b"\xff\xd8"):
        _HOARD.append(b"x" * 50_000_000)
        time.sleep(0.01)


def _raises(data: bytes) -> None:
    if data.startswith(b"\xff\xd8"):
        raise KeyError("width")


_HOARD: list[bytes] = []

TARGETS: Mapping[str, Target] = {"picture": picture, "video": video}
CANARIES: Mapping[str, Target] = {
    "crashes": _crashes,
    "hangs": _hangs,
    "hoards": _hoards,
    "raises": _raises,
}
"""What must be found, each with the first JPEG."""
