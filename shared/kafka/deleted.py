"""Counts by camera what Kafka deleted before the group had read it. Pure, except for its log.

Kafka deletes old messages, read or not. The offsets tell how many of a partition are gone. The frames around
the gap tell of which cameras they were: the sequence of a camera's frames has a hole where they are missing.
So with each position the group commits the newest frame of each camera, as the note of the commit.

A gap is counted once the group has committed a position behind it. Until then a rebalance may give the
partition to another member, which goes on before the gap and finds it again.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from agegender.shared.messages.pipeline import Face, Frame, FrameInfo, Preview, Result, TrackUpdate

log = logging.getLogger(__name__)

UNKNOWN_CAMERA = "unknown"
"""The label where no message tells the camera."""
_WAIT_S = 10.0  # a live camera has a message within this time
_MOST_NOTE_BYTES = 4_000  # the brokers' default for offset.metadata.max.bytes is 4,096

Newest = dict[str, tuple[str, int]]
"""Camera → stream and sequence of its newest frame. The camera that was read last comes last."""


@dataclass
class _Gap:
    """A hole in a partition, until each camera has told how many of its frames are missing."""

    deleted: int
    ends_at: int
    """The offset of the first message behind it."""
    since_s: float
    before: Newest
    """What was read before the gap."""
    missing: dict[str, int] = field(default_factory=dict)
    """Camera → frames missing in its stream, at least."""
    changed: set[str] = field(default_factory=set)
    """Cameras with another stream than before."""

    @property
    def open_ended(self) -> set[str]:
        """Cameras that may miss more: those without a message since, and those with another stream."""
        return (self.before.keys() - self.missing.keys()) | self.changed

    def add(self, frame: FrameInfo) -> None:
        """Takes in a frame behind the gap; the first of each camera counts."""
        camera = frame.camera_id
        if camera in self.missing:
            return
        stream_id, sequence = self.before.get(camera, ("", -1))
        if stream_id == frame.stream_id:
            self.missing[camera] = max(0, frame.sequence - sequence - 1)
            return
        self.changed.add(camera)
        # Without a note of the group, the frames before may have been read long ago.
        self.missing[camera] = frame.sequence if self.before else 0


@dataclass
class _Partition:
    next_offset: int | None
    """None: the group has never committed a position, so nothing can be missing."""
    newest: Newest
    gap: _Gap | None = None
    committed: int = 0
    """The position that this member committed last."""
    divided: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)
    """Each gap that is not counted yet: where it ended, and its messages by camera."""


class DeletedMessages:
    """Notices gaps in the offsets of the partitions that a consumer reads.

    Args:
        count: called with a camera and how many of its messages were deleted unread.
        monotonic: seconds of a clock that is never set.
    """

    def __init__(
        self, count: Callable[[str, int], None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._monotonic = monotonic
        self._partitions: dict[Any, _Partition] = {}

    def knows(self, partition: Any) -> bool:  # noqa: ANN401  (kafka-python has no types)
        """Whether `begin` was called for the partition."""
        return partition in self._partitions

    def begin(self, partition: Any, offset: int | None, note: str) -> None:  # noqa: ANN401
        """Goes on at a committed position with its note; None: the group has none."""
        self._partitions[partition] = _Partition(offset, _from_note(note))

    def read(self, partition: Any, offset: int, message: object) -> None:  # noqa: ANN401
        """Takes in a record. Call it for each one, in the order of the offsets."""
        known = self._partitions[partition]
        if known.next_offset is not None and offset > known.next_offset:
            _divide_gap(known)
            self._begin_gap(partition, known, offset)
        known.next_offset = offset + 1
        frame = _frame_of(message)
        if frame is None:
            return
        if known.gap is not None:
            known.gap.add(frame)
        known.newest.pop(frame.camera_id, None)
        known.newest[frame.camera_id] = (frame.stream_id, frame.sequence)

    def _begin_gap(self, partition: Any, known: _Partition, offset: int) -> None:  # noqa: ANN401
        deleted = offset - (known.next_offset or 0)
        known.gap = _Gap(deleted, offset, self._monotonic(), dict(known.newest))
        log.error(
            "Kafka deleted messages before they were read",
            extra={"topic": partition.topic, "partition": partition.partition, "messages": deleted},
        )

    def committed(self, positions: Mapping[Any, int]) -> None:
        """Takes in the positions that the group has committed, each the offset of the next message."""
        for partition, offset in positions.items():
            self._partitions[partition].committed = offset

    def settle(self) -> None:
        """Counts each gap that is committed, once its cameras are known or after some seconds."""
        now_s = self._monotonic()
        for known in self._partitions.values():
            gap = known.gap
            if gap is not None and (now_s > gap.since_s + _WAIT_S or gap.before.keys() <= gap.missing.keys()):
                _divide_gap(known)
            self._count_committed(known)

    def keep(self, partitions: Collection[Any]) -> None:
        """Forgets all other partitions, after counting their gaps that are committed."""
        for partition in self._partitions.keys() - set(partitions):
            known = self._partitions.pop(partition)
            _divide_gap(known)
            self._count_committed(known)

    def note(self, partition: Any) -> str:  # noqa: ANN401
        """What to commit with the position: the newest frames of as many cameras as fit."""
        newest = self._partitions[partition].newest
        while len(text := json.dumps(newest, separators=(",", ":"))) > _MOST_NOTE_BYTES:
            del newest[next(iter(newest))]
        return text

    def _count_committed(self, known: _Partition) -> None:
        while known.divided and known.divided[0][0] < known.committed:
            _, by_camera = known.divided.pop(0)
            for camera, number in by_camera.items():
                self._count(camera, number)


def _divide_gap(known: _Partition) -> None:
    gap, known.gap = known.gap, None
    if gap is not None:
        known.divided.append((gap.ends_at, divide(gap.deleted, gap.missing, gap.open_ended)))


def divide(deleted: int, missing: Mapping[str, int], open_ended: Collection[str]) -> Mapping[str, int]:
    """Divides deleted messages among the cameras. The sum is exactly `deleted`.

    Args:
        missing: camera → frames missing in its stream. More than were deleted if ingest dropped some.
        open_ended: cameras that may miss more than that. They share what is left.
    """
    least = sum(missing.values())
    if least >= deleted:
        return _shares(deleted, missing)
    left = deleted - least
    equal = dict.fromkeys(sorted(open_ended or missing) or [UNKNOWN_CAMERA], 1)
    return Counter(missing) + Counter(_shares(left, equal))


def _shares(number: int, weights: Mapping[str, int]) -> Mapping[str, int]:
    """Divides `number` in proportion to the weights, by the largest remainder."""
    total = sum(weights.values())
    shares = {one: number * weight // total for one, weight in weights.items()}
    remainders = sorted(weights, key=lambda one: -(number * weights[one] % total))
    for one in remainders[: number - sum(shares.values())]:
        shares[one] += 1
    return {one: share for one, share in shares.items() if share}


def _from_note(note: str) -> Newest:
    """Empty for a note that is not ours."""
    try:
        found = json.loads(note or "{}")
        return {str(camera): (str(stream), int(sequence)) for camera, (stream, sequence) in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _frame_of(message: object) -> FrameInfo | None:
    match message:
        case Frame(info=info) | Preview(info=info):
            return info
        case Face(info=info) | TrackUpdate(info=info):
            return info.frame
        case Result(face=face):
            return face.frame
    return None
