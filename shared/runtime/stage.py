"""A stage: messages in, one outcome for each out.

A stage is pure: it uses no broker, no store and no metric, so a test or a notebook can call it directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class DropReason(StrEnum):
    """Why a message was not published or not processed. Every dropped one counts under one of these."""

    BUSY = "busy"
    """More frames came than can be processed: another frame of its camera took its turn."""
    STOPPED = "stopped"
    """The worker stopped before the frame was sent."""
    STALE = "stale"
    """Older than the deadline, or from a stream before the camera's current one."""
    FULL = "full"
    """Kafka was down for so long that newer frames needed its place in the buffer."""
    OVERSIZE = "oversize"
    """Larger than a message may be, or with more pixels than allowed."""
    UNDECODABLE = "undecodable"
    """Not a picture, or a broken one."""
    DELETED = "deleted"
    """Kafka deleted the message before it was read."""
    REMOVED = "removed"
    """Of a camera that was removed, and older than the deadline of live cameras."""


class SkipReason(StrEnum):
    """Why a face was not sent to be classified. Every face found is sent or counts under one of these."""

    UNCONFIRMED = "unconfirmed"
    """Its track is not confirmed yet, so it may be a false detection."""
    LOW_QUALITY = "low-quality"
    """Too small or too blurred to be classified."""
    ENOUGH = "enough"
    """The track has enough votes, or better ones, already."""
    STILL = "still"
    """Nothing has moved since a frame that was searched, and its track has enough votes."""


@dataclass(frozen=True, slots=True)
class Done(Generic[Out_co]):
    """The message is processed. `outputs`: the resulting messages, if any."""

    outputs: tuple[Out_co, ...] = ()
    skipped: tuple[SkipReason, ...] = ()
    """One reason for each face that was found in the message and not sent."""
    is_still: bool | None = None
    """The message shows what one before it showed, and took over what was found there. None: unknown."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The message was dropped on purpose, and is counted."""

    reason: DropReason


@dataclass(frozen=True, slots=True)
class Bad:
    """The message can never be processed; it becomes a dead letter."""

    reason: str


Outcome = Done[Out_co] | Dropped | Bad


class Stage(Protocol[In_contra, Out_co]):
    """One step of the pipeline."""

    def process(self, batch: Sequence[In_contra]) -> Sequence[Outcome[Out_co]]:
        """One outcome for each message of `batch`, in the same order."""
