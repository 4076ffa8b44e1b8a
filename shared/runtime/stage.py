"""What a stage is: messages in, one outcome for each, nothing else.

A stage is pure: it reaches no broker, no store and no metric, so a test or a notebook can call it by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class DropReason(StrEnum):
    """Why a frame was not published, or not looked at. Every dropped frame is counted under one of these."""

    BUSY = "busy"
    """A newer frame came before this one could be taken."""
    STOPPED = "stopped"
    """The worker ended before it could be sent."""
    STALE = "stale"
    """Too old to matter by the time it could be taken or looked at, or behind its camera's next stream."""
    FULL = "full"
    """Kafka took no frames for so long that newer ones needed its place in the buffer."""
    OVERSIZE = "oversize"
    """Larger than a message may be, or claims more pixels than allowed."""
    UNDECODABLE = "undecodable"
    """Not a picture, or a broken one."""


class SkipReason(StrEnum):
    """Why a face that was found was not sent on. Every face found is sent or counted under one of these."""

    UNCONFIRMED = "unconfirmed"
    """Its track is too young: a slip of the detector makes no person."""
    POOR = "poor"
    """Too small or too blurred to be classified."""
    ENOUGH = "enough"
    """The person was classified from better or enough faces already."""


@dataclass(frozen=True, slots=True)
class Done(Generic[Out_co]):
    """The message is processed, and this is what came of it: nothing, one or many."""

    outputs: tuple[Out_co, ...] = ()
    skipped: tuple[SkipReason, ...] = ()
    """One reason for each face that was found in the message and left out."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The message was left out on purpose, and is counted."""

    reason: DropReason


@dataclass(frozen=True, slots=True)
class Bad:
    """The message can never be processed; it goes to the dead letters."""

    reason: str


Outcome = Done[Out_co] | Dropped | Bad


class Stage(Protocol[In_contra, Out_co]):
    """One step of the pipeline."""

    def process(self, batch: Sequence[In_contra]) -> Sequence[Outcome[Out_co]]:
        """One outcome for each message of `batch`, in the same order."""
