"""The messages between a worker and one decoder process, over a socket pair.

Each message is JSON, followed by the pixels of a picture or by none. Never pickles: a decoder reads data from
strangers. If they take it over, the worker must not execute its answers.
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
    """The received bytes are not one of the messages below."""


class Order(Model):
    """The only message of the worker: which camera to read. Holds the login of the camera."""

    kind: Literal["order"] = "order"
    camera_id: str
    url: str
    no_frame_s: float
    answer_s: float
    keyframe_s: float
    fps: float
    """Frames a second to send."""
    longer_side_px: SidePx
    """Larger frames are shrunk to this, so that the worker never holds larger pictures."""


class Alive(Model):
    """A sign of life: the camera is open, or for a while no decoded frame was due."""

    kind: Literal["alive"] = "alive"


class Waits(Model):
    """The camera is open, and keeps us waiting for its first frame."""

    kind: Literal["waits"] = "waits"
    reason: FailureReason
    why: str


class Skips(Model):
    """The decoder was too slow, and left out video to be at the present."""

    kind: Literal["skips"] = "skips"
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FrameHeader(Model):
    """A frame that was due. Its pixels follow."""

    kind: Literal["frame"] = "frame"
    arrived_at_s: Seconds
    """When it was decoded, seconds since 1970 by our clock."""
    camera_time_s: Annotated[float, Field(allow_inf_nan=False)] | None
    """When it was captured by the camera's clock, which may be wrong; None if the camera has no clock."""
    size_wh: tuple[SidePx, SidePx] | None = None
    """None if there are no pixels; `problem` then says why."""
    problem: str = ""
    is_oversize: bool = False
    """Whether the problem is too many pixels."""


class Failed(Model):
    """The last message: the camera could not be opened, or its stream broke."""

    kind: Literal["failed"] = "failed"
    reason: FailureReason
    text: str
    trace: str | None = None
    """The traceback, if our code failed."""


Message = Order | Alive | Waits | Skips | FrameHeader | Failed
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def send(connection: socket.socket, message: Message, picture_bgr: Bgr | None = None) -> None:
    """Sends one message. Waits while the other side does not read; raises OSError if it has closed."""
    text = message.model_dump_json().encode()
    pixels = memoryview(b"") if picture_bgr is None else np.ascontiguousarray(picture_bgr).data.cast("B")
    connection.sendall(_LENGTHS.pack(len(text), len(pixels)) + text)
    # Even an empty send fails if the other side has closed, as a decoder may do right after its order.
    if pixels:
        connection.sendall(pixels)


def receive(fill: Callable[[memoryview], None]) -> tuple[Message, Bgr | None]:
    """Receives the next message and its picture.

    Args:
        fill: fills its argument with the next bytes. Its errors are passed on.

    Raises:
        Garbled: the bytes are not a message.
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
