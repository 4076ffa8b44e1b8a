"""Pictures as a program hands them over: paths, encoded bytes, open files, arrays and images of Pillow."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.services.ingest.sources.kinds import FileKind, kind_of_content
from agegender.services.ingest.sources.stills import page_count, read_still
from agegender.shared.images.pictures import (
    Bgr,
    OversizePicture,
    UnreadablePicture,
    decode_picture,
    turned_upright,
)
from agegender.shared.images.sizes import MAX_PICTURE_BYTES, MAX_PIXELS
from agegender.shared.images.tiff import tiff_pages
from agegender.shared.messages.pipeline import LONGEST_SIDE_PX

Colour = Literal["bgr", "rgb"]
"""The order of the colours of an array: OpenCV has blue first, Pillow and most others have red first."""

PixelArray = NDArray[np.uint8] | NDArray[np.uint16]


class BinaryFile(Protocol):
    """An open binary file, such as `io.BytesIO`."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes from the present position on."""


@runtime_checkable
class PillowImage(Protocol):
    """What is used of an image of Pillow, which is no dependency."""

    @property
    def mode(self) -> str:
        """Such as `RGB` or `I;16`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def convert(self, mode: str, /) -> Any:  # noqa: ANN401  (an image of a package that is not imported)
        """The same image in another mode."""

    def getexif(self) -> Any:  # noqa: ANN401  (likewise)
        """The EXIF tags by number."""


@runtime_checkable
class ArrayLike(Protocol):
    """Any other object that NumPy reads."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """See NumPy."""


PictureBytes = bytes | bytearray | memoryview
PictureLike = str | os.PathLike[str] | PictureBytes | BinaryFile | PixelArray | PillowImage | ArrayLike
"""A path, a picture file as bytes or open, an array, or an image of Pillow: see `as_bgr`."""

_A_VIDEO = "this is an animation or a video, with many pictures: use analyze_video"
_ORIENTATION_TAG = 0x0112  # EXIF


def is_one_picture(thing: object) -> bool:
    """Whether `thing` is a picture itself. An array with four axes is a row of pictures."""
    if isinstance(thing, np.ndarray):
        return thing.ndim < 4
    return isinstance(thing, str | os.PathLike | PictureBytes | PillowImage | ArrayLike) or hasattr(
        thing, "read"
    )


def as_bgr(picture: PictureLike, colour: Colour = "bgr", page: int = 0) -> Bgr:
    """The pixels of a picture, (height, width, 3) uint8, blue first.

    A path, bytes or an open binary file: any format that OpenCV reads, turned upright by EXIF. An image of
    Pillow is turned upright, too. `colour` says nothing about these.
    An array: (height, width) or (height, width, 1) grey, (height, width, 3) in the order of `colour`, or
    (height, width, 4) with alpha last, which is left out; uint8, or uint16 of the full range.
    `page` is that of a TIFF file, from 0.

    Raises:
        UnreadablePicture: the file or the bytes cannot be read, or hold an animation or a video, or a side is
            over `LONGEST_SIDE_PX`; the text says which.
        ValueError: an array of another shape or type, or `colour` is neither of the two.
        TypeError: `picture` is none of these.
    """
    check_colour(colour)
    picture_bgr = _read(picture, colour, page)
    height_px, width_px = picture_bgr.shape[:2]
    if max(height_px, width_px) > LONGEST_SIDE_PX:
        raise OversizePicture(f"{width_px} x {height_px} pixels: a side is over {LONGEST_SIDE_PX}")
    return picture_bgr


def pages_of(picture: PictureLike) -> int:
    """The number of pages of a TIFF that is a path or bytes; 1 for anything else."""
    if isinstance(picture, str | os.PathLike):
        return page_count(Path(picture))
    if isinstance(picture, PictureBytes):
        return max(1, len(tiff_pages(io.BytesIO(picture))))
    return 1


def check_colour(colour: str) -> None:
    """Raises ValueError if `colour` is no `Colour`."""
    if colour not in ("bgr", "rgb"):
        raise ValueError(f"expected colour 'bgr' or 'rgb', got {colour!r}")


def _read(picture: PictureLike, colour: Colour, page: int) -> Bgr:
    if isinstance(picture, np.ndarray):
        return _array_as_bgr(picture, colour)
    if isinstance(picture, PictureBytes):
        return _decoded(bytes(picture), page)
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if _is_video_file(path):
            raise UnreadablePicture(_A_VIDEO)
        return read_still(path, page)
    if isinstance(picture, PillowImage):
        return _pillow_as_bgr(picture)
    if isinstance(picture, ArrayLike):
        return _array_as_bgr(np.asarray(picture), colour)
    if hasattr(picture, "read"):
        return _file_as_bgr(picture, page)
    raise TypeError(
        "expected a picture: a path, bytes, an open binary file, a NumPy array or an image of Pillow, "
        f"got {type(picture).__name__}"
    )


def _file_as_bgr(file: BinaryFile, page: int) -> Bgr:
    try:
        data = file.read(MAX_PICTURE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise UnreadablePicture(f"cannot read the open file: {error}") from None
    if not isinstance(data, bytes):
        raise TypeError(f"expected a file opened with mode 'rb', got one that gives {type(data).__name__}")
    if len(data) > MAX_PICTURE_BYTES:
        raise OversizePicture(f"more than the {MAX_PICTURE_BYTES} bytes allowed")
    return _decoded(data, page)


def _decoded(data: bytes, page: int) -> Bgr:
    if kind_of_content(io.BytesIO(data)) is FileKind.VIDEO:
        raise UnreadablePicture(_A_VIDEO)
    return decode_picture(data, page=page)


def _is_video_file(path: Path) -> bool:
    """Whether the content is that of a video; False where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of_content(file) is FileKind.VIDEO
    except OSError:
        return False


def _pillow_as_bgr(image: PillowImage) -> Bgr:
    if getattr(image, "n_frames", 1) > 1 and getattr(image, "is_animated", False):
        raise UnreadablePicture(_A_VIDEO)
    width_px, height_px = image.size
    if width_px * height_px > MAX_PIXELS:
        raise OversizePicture(f"{width_px} x {height_px} pixels, more than the {MAX_PIXELS} allowed")
    try:
        # Pillow reads the file only now. Its `convert` cuts grey of 16 bits off at 255.
        pixels = np.asarray(image if image.mode.startswith("I;16") else image.convert("RGB"))
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception as error:  # noqa: BLE001  (each plugin of Pillow raises its own errors)
        raise UnreadablePicture(f"Pillow cannot read the image: {error}") from None
    return turned_upright(_array_as_bgr(pixels, "rgb"), orientation)


def _array_as_bgr(array: NDArray[Any], colour: Colour) -> Bgr:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4) or array.size == 0 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            "expected an array of shape (height, width) or (height, width, 1, 3 or 4), uint8 or uint16, "
            f"got {array.shape} and {array.dtype}"
        )
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(array.reshape(array.shape[:2]), cv2.COLOR_GRAY2BGR), np.uint8)
    colours = array[:, :, :3] if colour == "bgr" else array[:, :, 2::-1]
    return np.ascontiguousarray(colours, np.uint8)
