"""Results in, the same results out: what is written is what was judged."""

from __future__ import annotations

from collections.abc import Sequence

from shared.messages import Result
from shared.stage import Done, Outcome


class SinkStage:
    """Passes every result on."""

    def process(self, batch: Sequence[Result]) -> Sequence[Outcome[Result]]:
        """Each result is done and is its own output."""
        return [Done((result,)) for result in batch]
