"""What Kafka deleted, by camera: before or after detect and the others had read it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agegender.commands.audit.counters import DROPPED, Counters
from agegender.commands.audit.evidence import TopicView

_REASON = "deleted"


class DeletedFrames:
    """The offsets that are gone from `frames`, to be divided among the cameras of each partition."""

    def __init__(self, frames: TopicView) -> None:
        self._frames = frames
        self._unread = dict(frames.deleted_unread_by_partition)
        self._read = {number: begin - self._unread.get(number, 0) for number, begin in frames.begins.items()}

    @property
    def unread_left(self) -> int:
        """How many unread ones are left, of no camera that is known."""
        return sum(self._unread.values())

    def take_unread(self, partitions: Iterable[int], most: int) -> int:
        """Takes up to `most` that detect has not read, and has not counted yet."""
        return _take(self._unread, partitions, most)

    def take_read(self, partitions: Iterable[int], most: int, since_s: float) -> int:
        """Takes up to `most` that detect has read, published since `since_s`.

        None of a partition that still holds an earlier message: Kafka deletes the oldest first.
        """
        held = {item.position.partition for item in self._frames.items if item.appended_at_s < since_s}
        return _take(self._read, [one for one in partitions if one not in held], most)

    def partitions_of(self, camera_frames: TopicView) -> Iterable[int]:
        """The partitions of a camera; all of them if no message shows which."""
        return sorted({item.position.partition for item in camera_frames.items}) or sorted(self._read)


def counted_as_deleted(counters: Counters, service: str, camera_id: str) -> int:
    """How many messages of the camera the service missed, by its own counter."""
    return counters.total(DROPPED, service=service, camera=camera_id, reason=_REASON)


def without_deleted(dropped: Mapping[str, int]) -> Mapping[str, int]:
    """The drops of messages that were read."""
    return {reason: number for reason, number in dropped.items() if reason != _REASON}


def _take(left: dict[int, int], partitions: Iterable[int], most: int) -> int:
    taken = 0
    for number in partitions:
        some = min(left.get(number, 0), most - taken)
        left[number] = left.get(number, 0) - some
        taken += some
    return taken
