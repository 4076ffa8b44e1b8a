"""The promises of every transport, as in `shared/runtime/transport.py`."""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from agegender.shared.errors import BadMessage
from agegender.shared.messages.codec import FRAME_CODEC, MAX_MESSAGE_BYTES, Encoded
from agegender.shared.messages.pipeline import Frame
from agegender.shared.runtime.transport import Delivery, Output, Source
from tests.contract.transports import NAMES, Transport, make
from tests.support.made_messages import frame
from tests.support.waiting import wait_until

E = TypeVar("E", Source[Frame], Output[Frame])


@pytest.fixture(params=NAMES)
def transport(request: pytest.FixtureRequest) -> Transport:
    return make(request.param, request)


@contextlib.contextmanager
def opened(end: E) -> Iterator[E]:
    end.open()
    try:
        yield end
    finally:
        end.close()


def read(source: Source[Frame], count: int, max_messages: int = 100) -> list[Delivery[Frame]]:
    """The next `count` deliveries, polled until they are there."""
    deliveries: list[Delivery[Frame]] = []

    def all_here() -> bool:
        deliveries.extend(source.poll(max_messages, 0.5))
        return len(deliveries) >= count

    wait_until(all_here, 20, f"{count} deliveries are polled")
    return deliveries


def sequences(deliveries: list[Delivery[Frame]]) -> list[int]:
    return [d.message.info.sequence for d in deliveries if isinstance(d.message, Frame)]


def frames(*numbers: int, camera_id: str = "cam1") -> list[Frame]:
    return [frame(camera_id, number) for number in numbers]


def test_what_was_written_is_handed_out_with_its_bytes(transport: Transport) -> None:
    sent = frame(jpeg=bytes(range(256)) * 400)
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write([sent])
        (delivery,) = read(source, 1)
    assert delivery.message == sent
    assert delivery.raw == FRAME_CODEC.encode(sent)


def test_what_was_written_before_anybody_read_is_handed_out(transport: Transport) -> None:
    with opened(transport.output()) as output:
        output.write(frames(0, 1))
        with opened(transport.source()) as source:
            assert sequences(read(source, 2)) == [0, 1]


def test_messages_of_one_key_keep_their_order(transport: Transport) -> None:
    cameras = [f"cam{n}" for n in range(5)]
    with opened(transport.output()) as output, opened(transport.source()) as source:
        for start in range(0, 20, 4):
            output.write([frame(camera, start + k) for k in range(4) for camera in cameras])
        by_camera = defaultdict(list)
        for delivery in read(source, 100, max_messages=7):
            assert isinstance(delivery.message, Frame)
            by_camera[delivery.message.camera_id].append(delivery.message.info.sequence)
    assert by_camera == {camera: list(range(20)) for camera in cameras}


def test_a_poll_hands_out_no_more_than_asked_for(transport: Transport) -> None:
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(frames(*range(10)))
        handed_out: list[int] = []
        deadline_s = time.monotonic() + 20
        while len(handed_out) < 10 and time.monotonic() < deadline_s:
            deliveries = source.poll(3, 0.5)
            assert len(deliveries) <= 3
            handed_out += sequences(list(deliveries))
    assert handed_out == list(range(10))


def test_a_poll_without_messages_waits_for_its_time(transport: Transport) -> None:
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(frames(0))
        read(source, 1)
        started_s = time.monotonic()
        assert list(source.poll(10, 0.4)) == []
        assert 0.35 <= time.monotonic() - started_s < 3


def test_a_poll_returns_as_soon_as_something_comes(transport: Transport) -> None:
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(frames(0))
        read(source, 1)
        with ThreadPoolExecutor(1) as executor:
            started_s = time.monotonic()
            polled = executor.submit(source.poll, 10, 30.0)
            output.write(frames(1))
            assert sequences(list(polled.result(timeout=30))) == [1]
            assert time.monotonic() - started_s < 10


def test_only_what_was_not_committed_comes_again(transport: Transport) -> None:
    with opened(transport.output()) as output:
        output.write(frames(0, 1, 2, 3))
        with opened(transport.source()) as source:
            assert sequences(read(source, 2, max_messages=2)) == [0, 1]
            source.commit()
            assert sequences(read(source, 1, max_messages=1)) == [2]
        with opened(transport.source()) as source:
            assert sequences(read(source, 2)) == [2, 3]
            source.commit()
        output.write(frames(4))
        with opened(transport.source()) as source:
            assert sequences(read(source, 1)) == [4]


def test_a_source_can_be_opened_again(transport: Transport) -> None:
    source = transport.source()
    with opened(transport.output()) as output:
        output.write(frames(0))
        with opened(source):
            read(source, 1)
        with opened(source):
            assert sequences(read(source, 1)) == [0]


def test_a_commit_of_nothing_is_nothing(transport: Transport) -> None:
    with opened(transport.output()) as output:
        with opened(transport.source()) as source:
            source.commit()
            output.write(frames(0))
            source.commit()
        with opened(transport.source()) as source:
            assert sequences(read(source, 1)) == [0]


def test_bytes_of_others_are_handed_out_as_bad_where_they_lie(transport: Transport) -> None:
    other = Encoded(b"cam1", b"\x00\xff of another program", (("trace", b"\xff"),))
    empty = Encoded(b"cam1", b"", ())
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(frames(0))
        transport.write_raw(other)
        transport.write_raw(empty)
        output.write(frames(1))
        first, second, third, last = read(source, 4)
    assert sequences([first, last]) == [0, 1]
    assert [second.raw, third.raw] == [other, empty]
    for bad in (second, third):
        assert isinstance(bad.message, BadMessage)
        assert "no 'schema' header" in str(bad.message)
        assert bad.origin


def test_the_origin_names_topic_partition_and_offset(transport: Transport) -> None:
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(frames(0, 1))
        deliveries = read(source, 2)
    found = [re.fullmatch(r"\S*frames/(\d+)@(\d+)", delivery.origin) for delivery in deliveries]
    (partition, offset), (next_partition, next_offset) = [one.groups() for one in found if one]
    assert partition == next_partition
    assert int(next_offset) == int(offset) + 1


def test_a_message_over_the_limit_refuses_its_whole_batch(transport: Transport) -> None:
    too_large = frame(sequence=1, jpeg=bytes(MAX_MESSAGE_BYTES))
    with opened(transport.output()) as output, opened(transport.source()) as source:
        with pytest.raises(
            BadMessage, match=r"2000\d\d\d bytes for '\S*frames' is over the limit of 2000000"
        ):
            output.write([frame(sequence=0), too_large])
        output.write(frames(2))
        assert sequences(read(source, 1)) == [2]


def test_a_message_of_just_the_limit_goes_through(transport: Transport) -> None:
    room_bytes = MAX_MESSAGE_BYTES - FRAME_CODEC.encode(frame(jpeg=b"x")).size_bytes + 1
    largest = frame(jpeg=bytes(room_bytes))
    assert FRAME_CODEC.encode(largest).size_bytes == MAX_MESSAGE_BYTES
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write([largest])
        (delivery,) = read(source, 1)
    assert delivery.message == largest


def test_the_same_write_can_be_repeated(transport: Transport) -> None:
    batch = frames(0, 1)
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write(batch)
        output.write(batch)
        output.write(frames(2))
        assert sequences(read(source, 5)) == [0, 1, 0, 1, 2]


def test_a_write_of_nothing_is_nothing(transport: Transport) -> None:
    with opened(transport.output()) as output, opened(transport.source()) as source:
        output.write([])
        output.write(frames(0))
        assert sequences(read(source, 1)) == [0]


def test_what_a_write_returned_for_outlives_the_output(transport: Transport) -> None:
    with opened(transport.source()) as source:
        with opened(transport.output()) as output:
            output.write(frames(0, 1, 2))
        assert sequences(read(source, 3)) == [0, 1, 2]


def test_keeping_alive_loses_and_reorders_nothing(transport: Transport) -> None:
    source = transport.source()
    source.keep_alive()
    with opened(transport.output()) as output, opened(source):
        source.keep_alive()
        output.write(frames(0, 1, 2))
        found = sequences(read(source, 1, max_messages=1))
        for number in (3, 4):
            source.keep_alive()
            output.write(frames(number))
        source.keep_alive()
        source.commit()
        found += sequences(read(source, 4, max_messages=2))
        assert found == [0, 1, 2, 3, 4]
    with opened(source):
        assert sequences(read(source, 4)) == [1, 2, 3, 4]


def test_closing_twice_or_before_opening_is_harmless(transport: Transport) -> None:
    source, output = transport.source(), transport.output()
    source.close()
    output.close()
    with opened(output), opened(source):
        output.write(frames(0))
        read(source, 1)
        source.close()
        output.close()
