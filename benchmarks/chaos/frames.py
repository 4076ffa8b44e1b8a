"""All frames that were ever in the topic, also those that were deleted from it, and what detect dropped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import committed_offsets, open_admin, partitions_of
from agegender.shared.kafka.reader import KafkaReader, Offsets
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.pipeline import FrameInfo
from agegender.shared.process.settings import KafkaSettings
from tests.support.services import Service
from tests.support.waiting import wait_until

_DROPPED = "agegender_messages_dropped_total"
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """A frame, and where it was in the topic."""

    info: FrameInfo
    appended_at_s: float
    partition: int
    offset: int


class FrameLog:
    """What the topic `frames` holds and held.

    Args:
        detects: the workers that read the topic.
    """

    def __init__(self, kafka: KafkaSettings, detects: Sequence[Service]) -> None:
        self.kafka = kafka
        self.topic = kafka.topic_prefix + FRAMES.name
        self.detects = detects
        self._deleted: list[LoggedFrame] = []
        self._unread: set[str] = set()
        self._left_out_of_ended: Counter[str] = Counter()
        self.miscounted: list[str] = []
        """Deletions of which detect counted another number than there was."""
        self.ends_of_detect = 0
        """How often a worker of detect was killed or stopped."""

    def read(self) -> Sequence[LoggedFrame]:
        """All frames, in their order for each camera."""
        return [*self._deleted, *self._in_topic()]

    @property
    def deleted_unread(self) -> frozenset[str]:
        """The ids of frames that were deleted before detect had read them."""
        return frozenset(self._unread)

    def note_counters(self, name: str) -> None:
        """Remembers the counters of a worker of detect that is about to end."""
        for service in self.detects:
            if service.name == name:
                self.ends_of_detect += 1
                if service.running:
                    self._left_out_of_ended.update(_left_out(service))

    def left_out(self, camera_id: str) -> int:
        """How many frames of a camera detect has counted as stale or busy, in all its processes."""
        now: Counter[str] = Counter(self._left_out_of_ended)
        for service in self.detects:
            now.update(_left_out(service))
        return now[camera_id]

    def delete(self) -> Mapping[str, int]:
        """Has Kafka delete all frames. No worker of detect may run. Camera → frames that were unread."""
        frames = list(self._in_topic())
        done = committed_offsets(self.kafka, self.kafka.topic_prefix + "detect", self.topic)
        ends = {one.partition: one.offset + 1 for one in frames}
        with open_admin(self.kafka) as admin:
            admin.delete_records(dict(zip(partitions_of(self.topic, ends), ends.values(), strict=True)))
        self._deleted += frames
        # A partition without a commit was never read. Detect counts nothing there, see `DeletedMessages`.
        unread = [one for one in frames if one.offset >= done.get(one.partition, 0)]
        seen = {one.info.frame_id for one in self._deleted} - {one.info.frame_id for one in unread}
        self._unread |= {one.info.frame_id for one in unread} - seen
        return Counter(one.info.camera_id for one in unread if one.partition in done)

    def check_count(self, expected: Mapping[str, int]) -> None:
        """Waits until the workers of detect, just started, have counted the deleted frames."""

        def counted() -> Counter[str]:
            found: Counter[str] = Counter()
            for service in self.detects:
                found.update(_dropped(service, "deleted"))
            return found

        try:
            number = sum(expected.values())
            wait_until(lambda: counted().total() == number, _PATIENCE_S, "the deleted frames are counted")
        except TimeoutError:
            self.miscounted.append(f"{dict(expected)} deleted, {dict(counted())} counted")

    def _in_topic(self) -> Sequence[LoggedFrame]:
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with KafkaReader(self.kafka) as reader:
                    return self._all(reader, reader.begins(self.topic), reader.ends(self.topic))
            except NotNow:
                if time.monotonic() > until_s:
                    raise

    def _all(self, reader: KafkaReader, begins: Offsets, ends: Offsets) -> Sequence[LoggedFrame]:
        return [
            LoggedFrame(FRAMES.codec.decode(one.encoded).info, one.appended_at_s, one.partition, one.offset)
            for one in reader.read(self.topic, begins, ends)
        ]


class FrameDeletion:
    """Kafka deletes all frames while detect is away."""

    def __init__(self, frames: FrameLog) -> None:
        self._frames = frames

    def take(self) -> None:
        """Detect stops in an orderly way, so that it is known how far it has read."""
        for service in self._frames.detects:
            self._frames.note_counters(service.name)
            if service.running:
                service.stop()

    def give_back(self) -> None:
        """Deletes the frames, starts detect, and waits until it has counted them."""
        unread = self._frames.delete()
        for service in self._frames.detects:
            service.start()
        for service in self._frames.detects:
            service.wait_until_ready(_PATIENCE_S)
        self._frames.check_count(unread)


def _left_out(service: Service) -> Counter[str]:
    """Camera → the live frames that a worker has dropped on purpose."""
    return Counter(_dropped(service, "stale")) + Counter(_dropped(service, "busy"))


def _dropped(service: Service, reason: str) -> Mapping[str, int]:
    """Camera → what a worker has dropped for that reason; empty if it does not answer."""
    try:
        return service.by_label(_DROPPED, "camera", reason=reason)
    except OSError:
        return {}
