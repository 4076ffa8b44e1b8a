"""The stage of the sink, which changes nothing: all work lies in writing to Redis."""

from __future__ import annotations

from collections.abc import Sequence

from agegender.shared.messages.pipeline import Stored
from agegender.shared.runtime.stage import Done, Outcome


class SinkStage:
    """Passes every message on."""

    def process(self, batch: Sequence[Stored]) -> Sequence[Outcome[Stored]]:
        """Each message is done and is its own output."""
        return [Done((message,)) for message in batch]
