"""Folders of pictures, and single ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame, shown_path
from agegender.shared.images.pictures import (
    Bgr,
    OversizePicture,
    UnreadablePicture,
    decode_picture,
)
from agegender.shared.images.sizes import MAX_PICTURE_BYTES

PICTURE_SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".hdr",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pam",
        ".pbm",
        ".pgm",
        ".pic",
        ".png",
        ".pnm",
        ".ppm",
        ".ras",
        ".sr",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
"""Suffixes of the formats that OpenCV decodes, if the size can be read before decoding."""


class StillsStream:
    """The pictures of a folder in the order of their names, or one picture, as `stream.Stream`."""

    def __init__(self, path: Path) -> None:
        self._files = sorted(p for p in path.rglob("*") if _is_picture(p)) if path.is_dir() else [path]
        if not path.exists():
            raise CameraError(FailureReason.NOT_FOUND, "there is no such file or folder")
        if not self._files:
            raise CameraError(FailureReason.NOT_FOUND, "there is no picture in this folder")

    def frames(self) -> Iterator[StreamFrame]:
        """Each picture. A file is read only when its pixels are requested."""
        for path in self._files:
            yield StreamFrame(None, time.time(), "arrival", partial(read_still, path), file=shown_path(path))

    def close(self) -> None:
        """Does nothing: no file stays open."""


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def read_still(path: Path) -> Bgr:
    """The picture in a file, turned upright.

    Raises:
        UnreadablePicture: the file cannot be read, or holds no picture or a broken one.
        OversizePicture: the file or the picture in it is larger than allowed; nothing was decoded.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_PICTURE_BYTES:
            raise OversizePicture(f"{size_bytes} bytes, more than the {MAX_PICTURE_BYTES} allowed")
        return decode_picture(path.read_bytes())
    except OSError as error:
        raise UnreadablePicture(f"cannot read {str(path)!r}: {error.strerror}") from None
