"""Results, presences and previews in, the same out: what is written is what was judged and seen."""

from __future__ import annotations

from collections.abc import Sequence

from shared.messages import Presence, Stored
from shared.stage import Bad, Done, Outcome

_LAST_DATE_S = 253_402_300_800.0  # the year 10000, of which no calendar has an hour to count it under


class SinkStage:
    """Passes everything on that can be counted."""

    def process(self, batch: Sequence[Stored]) -> Sequence[Outcome[Stored]]:
        """Each message is done and is its own output; one of an impossible time is bad."""
        return [_outcome(message) for message in batch]


def _outcome(message: Stored) -> Outcome[Stored]:
    if isinstance(message, Presence):
        for sighting in message.info.sightings:
            if sighting.first_seen_s >= _LAST_DATE_S:
                return Bad(f"expected a person seen before the year 10000, got {sighting.first_seen_s:g} s")
    return Done((message,))
