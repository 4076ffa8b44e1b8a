"""The votes of one person of a video, spread over the whole visit, in bounded memory. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from agegender.shared.messages.votes import Verdict, Vote, verdict

SLOT_S = 0.2
"""The first length of a slot. Videos are searched as often by default, so that more frames add no slots."""

MOST_SLOTS = 100
"""With more slots, two become one, twice as long."""

_SLACK = 1e-6  # slots, because fractions of a second are not exact


@dataclass
class SpreadVotes:
    """Keeps the best face of each slot of time.

    Neighbouring frames err alike. If every frame voted, a video with more frames a second, or the first
    minute of a long visit, would outvote the rest.
    """

    slot_s: float = SLOT_S
    _best: dict[int, tuple[float, Vote]] = field(default_factory=dict)

    def add(self, vote: Vote, time_s: float) -> None:
        """Adds a vote of the frame at `time_s`; an unclassified one changes nothing."""
        if vote.age_years is None:
            return
        self._keep(math.floor(time_s / self.slot_s + _SLACK), time_s, vote)
        while len(self._best) > MOST_SLOTS:
            self.slot_s *= 2
            kept, self._best = self._best, {}
            for slot, (at_s, one) in kept.items():
                self._keep(slot // 2, at_s, one)

    @property
    def verdict(self) -> Verdict:
        """Age and gender from the votes so far; `faces_classified` counts the slots."""
        return verdict(vote for _, vote in self._best.values())

    def _keep(self, slot: int, time_s: float, vote: Vote) -> None:
        known = self._best.get(slot)
        # The earlier of two equally good faces, in whichever order they come.
        if known is None or (-vote.quality, time_s) < (-known[1].quality, known[0]):
            self._best[slot] = time_s, vote
