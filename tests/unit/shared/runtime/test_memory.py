"""Behaviour of the transport inside one process only. `tests/contract` tests what all transports share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.messages.codec import FRAME_CODEC
from agegender.shared.messages.pipeline import Frame
from agegender.shared.runtime.memory import MemoryTopic, TransportBroken
from agegender.shared.runtime.transport import Source
from tests.support.made_messages import frame


@pytest.fixture
def in_a_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as executor:
        yield executor


def _topic(capacity: int = 4, patience_s: float = 0.05) -> MemoryTopic[Frame]:
    return MemoryTopic("frames", FRAME_CODEC, capacity, patience_s)


def _sequences(source: Source[Frame], max_messages: int = 100) -> list[int]:
    deliveries = source.poll(max_messages, 0.0)
    return [d.message.info.sequence for d in deliveries if isinstance(d.message, Frame)]


def test_a_full_topic_takes_nothing_of_a_batch() -> None:
    topic = _topic(capacity=4)
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    output.write([frame(sequence=n) for n in range(3)])
    with pytest.raises(NotNow, match="'frames' is full: its reader is behind"):
        output.write([frame(sequence=n) for n in (3, 4)])
    output.write([frame(sequence=5)])
    assert _sequences(source) == [0, 1, 2, 5]


def test_a_batch_larger_than_the_topic_waits_until_it_is_empty() -> None:
    topic = _topic(capacity=2)
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    output.write([frame(sequence=0)])
    large = [frame(sequence=n) for n in range(1, 6)]
    with pytest.raises(NotNow):
        output.write(large)
    assert _sequences(source) == [0]
    output.write(large)
    assert _sequences(source) == [1, 2, 3, 4, 5]


def _assert_it_waits(written: Future[None]) -> None:
    with pytest.raises(TimeoutError):
        written.result(timeout=0.1)


def test_a_writer_that_waits_goes_on_when_room_appears(in_a_thread: ThreadPoolExecutor) -> None:
    topic = _topic(capacity=1, patience_s=20)
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    output.write([frame(sequence=0)])
    started_s = time.monotonic()
    written = in_a_thread.submit(output.write, [frame(sequence=1)])
    _assert_it_waits(written)
    assert _sequences(source) == [0]
    written.result(timeout=5)
    assert time.monotonic() - started_s < 5
    assert _sequences(source) == [1]


def test_a_reader_that_waits_is_woken_by_a_message(in_a_thread: ThreadPoolExecutor) -> None:
    topic = _topic()
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    started_s = time.monotonic()
    polled = in_a_thread.submit(source.poll, 10, 20.0)
    output.write([frame()])
    assert len(polled.result(timeout=5)) == 1
    assert time.monotonic() - started_s < 5


def test_a_source_is_exhausted_after_the_last_output_and_message() -> None:
    topic = _topic()
    first, second, source = topic.output(), topic.output(), topic.source()
    source.open()
    first.open()
    second.open()
    first.write([frame()])
    first.close()
    first.close()
    assert not source.exhausted
    second.close()
    assert not source.exhausted, "a message is waiting"
    assert len(source.poll(10, 0.0)) == 1
    assert source.exhausted


def test_an_output_that_was_never_opened_ends_nothing() -> None:
    topic = _topic()
    writer, source = topic.output(), topic.source()
    writer.open()
    topic.output().close()
    assert not source.exhausted
    writer.close()
    assert source.exhausted


def test_the_end_of_a_topic_wakes_the_reader(in_a_thread: ThreadPoolExecutor) -> None:
    topic = _topic()
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    polled = in_a_thread.submit(source.poll, 10, 20.0)
    output.close()
    assert polled.result(timeout=5) == []


def test_messages_put_back_by_a_close_are_handed_out_again() -> None:
    topic = _topic()
    output, source = topic.output(), topic.source()
    output.open()
    source.open()
    output.write([frame()])
    output.close()
    source.poll(10, 0.0)
    assert source.exhausted
    source.close()
    assert not source.exhausted


def test_a_broken_topic_ends_waiting_writes_and_refuses_new_ones(in_a_thread: ThreadPoolExecutor) -> None:
    topic = _topic(capacity=1, patience_s=20)
    output = topic.output()
    output.open()
    output.write([frame()])
    written = in_a_thread.submit(output.write, [frame()])
    _assert_it_waits(written)
    topic.break_off()
    with pytest.raises(TransportBroken, match="reader of memory topic 'frames' failed"):
        written.result(timeout=5)
    with pytest.raises(TransportBroken):
        output.write([])


def test_one_reader_at_a_time() -> None:
    topic = _topic()
    first, second = topic.source(), topic.source()
    first.open()
    with pytest.raises(NotNow, match="'frames' has a reader already"):
        second.open()
    second.close()
    with pytest.raises(NotNow):
        second.open()
    first.close()
    second.open()


def test_many_writers_lose_and_double_nothing(in_a_thread: ThreadPoolExecutor) -> None:
    topic = _topic(capacity=8, patience_s=20)
    source = topic.source()
    source.open()
    started = threading.Barrier(4)

    def write(camera_id: str) -> None:
        output = topic.output()
        output.open()
        started.wait(5)
        for n in range(0, 60, 3):
            output.write([frame(camera_id, n + k) for k in range(3)])
        output.close()

    writers = [in_a_thread.submit(write, f"cam{n}") for n in range(4)]
    read: dict[str, list[int]] = {}
    while not source.exhausted:
        for delivery in source.poll(5, 0.1):
            assert isinstance(delivery.message, Frame)
            read.setdefault(delivery.message.camera_id, []).append(delivery.message.info.sequence)
        source.commit()
    for writer in writers:
        writer.result(timeout=5)
    assert read == {f"cam{n}": list(range(60)) for n in range(4)}
