"""What a worker takes from a decoder process, and what it refuses."""

from __future__ import annotations

import io
import json
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agegender.services.ingest.decoder.protocol import (
    Alive,
    Failed,
    FrameHeader,
    Garbled,
    Message,
    Order,
    Waits,
    receive,
    send,
)
from agegender.services.ingest.sources.stream import FailureReason
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.sizes import MAX_PIXELS


def filler(data: bytes) -> Callable[[memoryview], None]:
    stream = io.BytesIO(data)

    def fill(view: memoryview) -> None:
        if stream.readinto(view) != len(view):
            raise EOFError

    return fill


def sent(message: Message, picture: Bgr | None = None) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, message, picture)
        return theirs.recv(1 << 20)


def framed(text: bytes, pixels: bytes = b"") -> bytes:
    return struct.pack("!II", len(text), len(pixels)) + text + pixels


@pytest.mark.parametrize(
    "message",
    [
        Order(
            camera_id="door",
            url="rtsp://u:p@host/x",
            no_frame_s=10,
            answer_s=35,
            keyframe_s=120,
            fps=5,
            longer_side_px=1280,
        ),
        Alive(),
        Waits(reason=FailureReason.NO_KEYFRAME, why="waits for a keyframe"),
        FrameHeader(arrived_at_s=2.0, camera_time_s=None, problem="broken", is_oversize=True),
        Failed(reason=FailureReason.ENDED, text="the stream ended"),
    ],
)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert receive(filler(sent(message))) == (message, None)


class HangsUp(socket.socket):
    """Its other end goes as soon as anything is sent."""

    theirs: socket.socket

    def sendall(self, data: Any, flags: int = 0, /) -> None:  # noqa: ANN401  (as a socket)
        super().sendall(data, flags)
        self.theirs.close()


def test_a_message_arrives_although_the_reader_then_closes() -> None:
    pair = socket.socketpair()
    with HangsUp(fileno=pair[0].detach()) as ours:
        ours.theirs = pair[1]
        send(ours, Alive())


def test_a_picture_comes_out_as_it_went_in_also_a_turned_one() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    turned = np.rot90(picture)
    message = FrameHeader(arrived_at_s=2.0, camera_time_s=1.5, size_wh=(20, 30))
    got, pixels = receive(filler(sent(message, turned)))
    assert got == message
    assert pixels is not None
    assert np.array_equal(pixels, turned)


PICKED = {"kind": "frame", "arrived_at_s": 1.0, "camera_time_s": None, "size_wh": [2, 1]}


@pytest.mark.parametrize(
    "data",
    [
        framed(b""),
        framed(b"{}"),
        framed(b"\xff\xfe"),
        framed(json.dumps({"kind": "unknown"}).encode()),
        framed(pickle.dumps(Alive())),
        framed(json.dumps(PICKED).encode(), bytes(5)),
        framed(json.dumps(PICKED | {"size_wh": None}).encode(), bytes(6)),
        framed(json.dumps(PICKED | {"size_wh": [-2, -1]}).encode(), bytes(6)),
        framed(json.dumps(PICKED | {"camera_time_s": float("nan")}).encode(), bytes(6)),
        framed(json.dumps(PICKED | {"arrived_at_s": -1}).encode(), bytes(6)),
        framed(json.dumps({"kind": "alive"}).encode(), bytes(6)),
        struct.pack("!II", 1 << 20, 0),
        struct.pack("!II", 10, 3 * MAX_PIXELS + 1),
    ],
)
def test_an_invalid_message_is_refused_before_memory_is_reserved(data: bytes) -> None:
    with pytest.raises(Garbled):
        receive(filler(data))


def test_what_breaks_off_is_told_by_who_fills() -> None:
    whole = sent(Alive())
    with pytest.raises(EOFError):
        receive(filler(whole[:-1]))
