"""One output out of two: messages of one kind go another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from agegender.shared.runtime.transport import Output

M = TypeVar("M")


class RoutedOutput(Generic[M]):
    """Sends messages of a kind to an output of their own, after all others.

    Args:
        kind: of those messages.
        theirs: where they go.
        others: where the others go.
    """

    def __init__(self, kind: type, theirs: Output[Any], others: Output[Any]) -> None:
        self._kind = kind
        self._theirs = theirs
        self._others = others
        self._batch: Sequence[M] | None = None
        self._left: list[tuple[Output[Any], Sequence[M]]] = []

    def open(self) -> None:
        """See `transport.Output`."""
        self._others.open()
        self._theirs.open()

    def write(self, messages: Sequence[M]) -> None:
        """See `transport.Output`. What one output has is not given to it again by the same call."""
        if messages is not self._batch:
            self._batch = messages
            others = [one for one in messages if not isinstance(one, self._kind)]
            theirs = [one for one in messages if isinstance(one, self._kind)]
            self._left = [(self._others, others), (self._theirs, theirs)]
        while self._left:
            output, part = self._left[0]
            output.write(part)
            del self._left[0]
        self._batch = None

    def close(self) -> None:
        """See `transport.Output`."""
        try:
            self._others.close()
        finally:
            self._theirs.close()
