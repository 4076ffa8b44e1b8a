"""What carries messages from one stage to the next: two small protocols.

`memory` implements them inside one process, `kafka_source` and `kafka_output` over a broker; one suite of
contract tests holds both to what is written here. A stage does not know which of them it runs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from agegender.shared.errors import BadMessage
from agegender.shared.messages.codec import Encoded

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Delivery(Generic[T_co]):
    """One message as a source hands it out, or the reason why it is none."""

    message: T_co | BadMessage
    origin: str
    """Where it was read, for dead letters and logs: `topic/partition@offset`."""
    raw: Encoded | None = None
    """The bytes as received; None where the source does not deal in bytes."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The part of a topic that one of several workers has."""

    held: frozenset[int]
    """Numbers of the partitions."""
    partitions: int
    """How many the topic has."""


class Source(Protocol[T_co]):
    """Where a stage's messages come from. Used by one thread."""

    def open(self) -> None:
        """Connects. Raises NotNow while the other side is away; may then be called again."""

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[T_co]]:
        """Waits up to `timeout_s` for messages and hands out at most `max_messages`, in order per key."""

    def commit(self) -> None:
        """Marks everything handed out so far as done: it is not handed out again after a restart.

        Raises NotNow when that could not be stored; the messages may then come again.
        """

    def keep_alive(self) -> None:
        """Called while the stage waits for something else, so that the source keeps its place."""

    @property
    def exhausted(self) -> bool:
        """True when nothing will ever come any more. A live source never is."""

    def close(self) -> None:
        """Lets go.

        What was not committed is handed out again to the next to open; a source that cannot, because it has
        no past, counts it as dropped.
        """


class Output(Protocol[T_contra]):
    """Where a stage's results go. Used by one thread."""

    def open(self) -> None:
        """Connects. Raises NotNow while the other side is away; may then be called again."""

    def write(self, messages: Sequence[T_contra]) -> None:
        """Returns when all messages are safe on the other side.

        Called with none of them now and then while nothing arrives, for what is due by the clock alone.

        Raises NotNow when they are not: the same call is then made again, so a message may arrive twice.
        """

    def close(self) -> None:
        """Lets go. Everything that `write` returned for is safe already."""
