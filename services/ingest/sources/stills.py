"""Folders of pictures, and single ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agegender.services.ingest.sources.kinds import is_picture_file
from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame, shown_path
from agegender.shared.images.pictures import (
    Bgr,
    OversizePicture,
    UnreadablePicture,
    decode_picture,
)
from agegender.shared.images.sizes import MAX_PICTURE_BYTES
from agegender.shared.images.tiff import tiff_pages


class StillsStream:
    """The pictures of a folder in the order of their names, or one picture, as `stream.Stream`."""

    def __init__(self, path: Path) -> None:
        self._files = sorted(filter(is_picture_file, path.rglob("*"))) if path.is_dir() else [path]
        if not path.exists():
            raise CameraError(FailureReason.NOT_FOUND, "there is no such file or folder")
        if not self._files:
            raise CameraError(FailureReason.NOT_FOUND, "there is no picture in this folder")

    def frames(self) -> Iterator[StreamFrame]:
        """Each picture, and each page of a TIFF. A file is decoded only when its pixels are requested."""
        for path in self._files:
            for page in range(page_count(path)):
                picture = partial(read_still, path, page)
                yield StreamFrame(None, time.time(), "arrival", picture, file=shown_path(path))

    def close(self) -> None:
        """Does nothing: no file stays open."""


def page_count(path: Path) -> int:
    """The number of pages of a TIFF; 1 for any other file, and for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return max(1, len(tiff_pages(file)))
    except OSError:
        return 1


def read_still(path: Path, page: int = 0) -> Bgr:
    """The picture in a file, turned upright; of a TIFF, the page with this number from 0.

    Raises:
        UnreadablePicture: the file cannot be read, or holds no picture or a broken one.
        OversizePicture: the file or the picture in it is larger than allowed; nothing was decoded.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_PICTURE_BYTES:
            raise OversizePicture(f"{size_bytes} bytes, more than the {MAX_PICTURE_BYTES} allowed")
        return decode_picture(path.read_bytes(), page=page)
    except OSError as error:
        raise UnreadablePicture(f"cannot read {str(path)!r}: {error.strerror}") from None
