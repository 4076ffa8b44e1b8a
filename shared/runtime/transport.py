"""The two protocols that carry messages from one stage to the next, and an output that splits by type.

`memory` implements the protocols inside one process, `source` and `output` of `shared/kafka` over a broker.
One suite of contract tests holds both to the text here, so a stage runs the same on each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from agegender.shared.errors import BadMessage
from agegender.shared.messages.codec import Encoded

M = TypeVar("M")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Delivery(Generic[T_co]):
    """One message as a source hands it out, or the reason why it cannot be read."""

    message: T_co | BadMessage
    origin: str
    """Where it was read, for dead letters and logs: `topic/partition@offset`."""
    raw: Encoded | None = None
    """The bytes as received; None where the source does not deal in bytes."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions of a topic that the consumer group gives to one worker."""

    held: frozenset[int]
    """Numbers of the partitions."""
    partitions: int
    """How many partitions the topic has."""


class Backlog(NamedTuple):
    """The work of one consumer group on its topic."""

    waiting: int
    """Messages that it has not committed, without those that Kafka has deleted."""
    done: int | None
    """Messages up to its commits, over all partitions; None: it has none."""


class Note(NamedTuple):
    """A few words from the reader of a partition to its writers, kept with its last commit."""

    offset: int
    """Of that commit."""
    text: str


class Source(Protocol[T_co]):
    """Where the messages of a stage come from. Used by one thread."""

    def open(self) -> None:
        """Connects. Raises NotNow while the other side is down; may then be called again."""

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[T_co]]:
        """Waits up to `timeout_s` for messages and hands out at most `max_messages`, in order per key."""

    def commit(self) -> None:
        """Marks everything handed out so far as done: it is not handed out again after a restart.

        Raises NotNow when that could not be stored; the messages may then come again.
        """

    def keep_alive(self) -> None:
        """Called while the stage waits for something else, so that the source keeps its assignment."""

    @property
    def exhausted(self) -> bool:
        """True when no more messages will come. Never true for a live source."""

    def close(self) -> None:
        """Disconnects.

        Messages without a commit are handed out again to the next reader. A source that cannot repeat them
        counts them as dropped.
        """


class Output(Protocol[T_contra]):
    """Where the results of a stage go. Used by one thread."""

    def open(self) -> None:
        """Connects. Raises NotNow while the other side is down; may then be called again."""

    def write(self, messages: Sequence[T_contra]) -> None:
        """Returns when all messages are stored on the other side.

        While no messages arrive, it is called now and then with none, for work that is due by the clock.

        Raises NotNow otherwise. The same call is then made again, so a message may arrive twice.
        """

    def close(self) -> None:
        """Disconnects. Everything that `write` returned for is stored already."""


class SplitOutput(Generic[M]):
    """Sends the messages of one type to an output of their own, after all others.

    Args:
        kind: the type.
        of_kind: gets messages of that type.
        others: gets all other messages.
    """

    def __init__(self, kind: type, of_kind: Output[Any], others: Output[Any]) -> None:
        self._kind = kind
        self._of_kind = of_kind
        self._others = others
        self._batch: Sequence[M] | None = None
        self._left: list[tuple[Output[Any], Sequence[M]]] = []

    def open(self) -> None:
        """See `Output`."""
        self._others.open()
        self._of_kind.open()

    def write(self, messages: Sequence[M]) -> None:
        """See `Output`. When the call is repeated, an output that has its part is not given it again."""
        if messages is not self._batch:
            self._batch = messages
            others = [one for one in messages if not isinstance(one, self._kind)]
            of_kind = [one for one in messages if isinstance(one, self._kind)]
            self._left = [(self._others, others), (self._of_kind, of_kind)]
        while self._left:
            output, part = self._left[0]
            output.write(part)
            del self._left[0]
        self._batch = None

    def close(self) -> None:
        """See `Output`."""
        try:
            self._others.close()
        finally:
            self._of_kind.close()
