"""What a worker and its decoder processes say to each other, over a socket that only the two of them have.

Each message is a line of JSON, and behind it the pixels of a picture. Never pickles: a decoder reads what
strangers send, and the worker must not run what one that was taken over by them might answer.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from agegender.services.ingest.sources.stream import FailureReason
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.messages.pipeline import Model, Seconds, SidePx

_LENGTHS = struct.Struct("!II")  # bytes of JSON, bytes of pixels
_MOST_JSON_BYTES = 65_536
_CHANNELS = 3


class Garbled(AgeGenderError):
    """What came is none of the messages below."""


class Order(Model):
    """What to read: the only message of the worker. Holds the login of the camera."""

    kind: Literal["order"] = "order"
    camera_id: str
    url: str
    no_frame_s: float
    fps: float
    """Frames a second to hand over."""
    longer_side_px: SidePx
    """Larger frames are shrunk to this, so that the worker never holds what only its decoder has room for."""


class Alive(Model):
    """The camera is open, or frames are decoded and none was due for a while."""

    kind: Literal["alive"] = "alive"


class FrameHeader(Model):
    """A frame that was due; its pixels follow."""

    kind: Literal["frame"] = "frame"
    arrived_at_s: Seconds
    """When it was decoded, seconds since 1970 by our clock."""
    camera_time_s: Annotated[float, Field(allow_inf_nan=False)] | None
    """When it was captured by the camera's clock, which may be wrong; None where the camera tells no time."""
    size_wh: tuple[SidePx, SidePx] | None = None
    """None: there are no pixels, and `problem` says why."""
    problem: str = ""
    is_oversize: bool = False
    """Whether the problem is that there are too many pixels."""


class Failed(Model):
    """The camera could not be opened, or its stream broke: the last message."""

    kind: Literal["failed"] = "failed"
    reason: FailureReason
    text: str
    trace: str | None = None
    """Where it failed, if it was the fault of our code."""


Message = Order | Alive | FrameHeader | Failed
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def send(connection: socket.socket, message: Message, picture_bgr: Bgr | None = None) -> None:
    """Sends one message; blocks while the other side does not read. Raises OSError when it has gone."""
    text = message.model_dump_json().encode()
    pixels = memoryview(b"") if picture_bgr is None else np.ascontiguousarray(picture_bgr).data.cast("B")
    connection.sendall(_LENGTHS.pack(len(text), len(pixels)) + text)
    # Also to send nothing fails when the other side has gone, as a decoder may at once after its order.
    if pixels:
        connection.sendall(pixels)


def receive(fill: Callable[[memoryview], None]) -> tuple[Message, Bgr | None]:
    """The next message, and the picture that came with it.

    Args:
        fill: fills its argument with what comes next, to the last byte; what it raises passes.

    Raises:
        Garbled: what came is no message.
    """
    lengths = bytearray(_LENGTHS.size)
    fill(memoryview(lengths))
    text_bytes, pixel_bytes = _LENGTHS.unpack(lengths)
    if text_bytes > _MOST_JSON_BYTES or pixel_bytes > MAX_PIXELS * _CHANNELS:
        raise Garbled(f"a message of {text_bytes} bytes with {pixel_bytes} bytes of pixels")
    text = bytearray(text_bytes)
    fill(memoryview(text))
    try:
        message = _MESSAGE.validate_json(bytes(text))
    except ValidationError as error:
        raise Garbled(f"{error.error_count()} faults in a message of {text_bytes} bytes") from None
    size_wh = message.size_wh if isinstance(message, FrameHeader) else None
    width_px, height_px = size_wh or (0, 0)
    if pixel_bytes != width_px * height_px * _CHANNELS:
        raise Garbled(f"{pixel_bytes} bytes of pixels for {width_px} x {height_px}")
    if not pixel_bytes:
        return message, None
    picture_bgr = np.empty((height_px, width_px, _CHANNELS), np.uint8)
    fill(picture_bgr.data.cast("B"))
    return message, picture_bgr
