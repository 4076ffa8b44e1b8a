"""Frames in and out of a Kafka topic, for the tests of the transport."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import open_admin, partitions_of
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Delivery, Source
from tests.support.made_messages import frame
from tests.support.pipeline import read_topic
from tests.support.waiting import wait_until

E = TypeVar("E", KafkaSource[Frame], KafkaOutput[Frame], KafkaDeadLetters)


MOST_S = 6.0
"""No single call may delay the reaction to a stop signal for longer."""
CAMERAS = tuple(f"cam{number}" for number in range(12))


@contextlib.contextmanager
def opened(end: E) -> Iterator[E]:
    until_done(end.open)
    try:
        yield end
    finally:
        end.close()


def frames_output(settings: KafkaSettings) -> KafkaOutput[Frame]:
    return KafkaOutput(FRAMES, settings)


def frames_source(settings: KafkaSettings) -> KafkaSource[Frame]:
    return KafkaSource(FRAMES, "readers", settings)


def numbers(*wanted: int, cameras: tuple[str, ...] = ("cam1",)) -> list[Frame]:
    return [frame(camera, number) for number in wanted for camera in cameras]


def until_done(call: Callable[[], object], timeout_s: float = 30) -> None:
    """Makes the call again and again while it raises NotNow, as the runner does."""

    def done() -> bool:
        try:
            call()
        except NotNow:
            return False
        return True

    wait_until(done, timeout_s, "the call returns")


def refused(call: Callable[[], object]) -> str:
    """The reason of the NotNow that the call raises in time."""
    started_s = time.monotonic()
    with pytest.raises(NotNow) as raised:
        call()
    assert time.monotonic() - started_s < MOST_S
    return str(raised.value)


def frames_of(deliveries: Sequence[Delivery[Frame]]) -> list[Frame]:
    return [one.message for one in deliveries if isinstance(one.message, Frame)]


def some(source: Source[Frame], at_least: int = 1, max_messages: int = 500) -> list[Frame]:
    """Polls until at least so many frames are handed out, and as the runner does once more after NotNow."""
    found: list[Frame] = []

    def enough() -> bool:
        with contextlib.suppress(NotNow):
            found.extend(frames_of(source.poll(max_messages, 0.2)))
        return len(found) >= at_least

    wait_until(enough, 20, f"{at_least} frames are handed out")
    return found


def stored(settings: KafkaSettings) -> list[Frame]:
    """All frames in the topic, in order per camera."""
    return [
        FRAMES.codec.decode(one)
        for one in read_topic(settings.bootstrap_servers, settings.topic_prefix + FRAMES.name)
    ]


def by_camera(frames: list[Frame]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for one in frames:
        found[one.camera_id].append(one.info.sequence)
    return dict(found)


def delete_all(settings: KafkaSettings, topic: str) -> int:
    """Lets Kafka delete all messages of a topic, as it does with old ones. Returns how many they were."""
    name = settings.topic_prefix + topic
    with KafkaReader(settings) as reader:
        begins, ends = reader.begins(name), reader.ends(name)
    with open_admin(settings) as admin:
        admin.delete_records(dict(zip(partitions_of(name, ends), ends.values(), strict=True)))
    return sum(ends[number] - begins[number] for number in ends)
