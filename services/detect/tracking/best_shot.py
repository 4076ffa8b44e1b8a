"""Which faces of a person are worth classifying. Pure: qualities and times in, yes or no out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agegender.shared.messages.votes import MAX_VOTES

Selection = Literal["best-shot", "all"]
"""Which faces are sent to be classified: those that can improve the answer for their track, or all of them."""

FIRST_GAP_S = 1.0
"""From the first voting face to the second."""

GAP_GROWTH = 1.25
"""How much longer each gap is than the one before it."""

CLEARLY_BETTER = 0.2
"""A face whose quality is so much above the best so far does not wait for its time."""

KEPT_FOR_BETTER = 4
"""Votes that only clearly better faces get: who was far off for minutes may come near yet."""

ENOUGH_QUALITY = 8.0
"""The sum of the qualities after which no more faces vote: eight very good faces, or twelve fair ones."""


@dataclass
class Ballot:
    """The voting faces of one person so far.

    Faces of one person err alike, and the more so the closer they are in time: what eight good ones leave of
    the error of one, a hundred lower by hardly a percent (`shared/messages/votes.py`). So the first one votes at once,
    the next ones after growing gaps, a clearly better one at once, and none once enough was gathered.
    """

    votes_sent: int = 0
    quality: float = 0.0
    """The sum of all voting faces."""
    best: float = 0.0
    last_s: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether no further face votes, however good it is."""
        return self.quality >= ENOUGH_QUALITY or self.votes_sent >= MAX_VOTES

    def wants(self, quality: float, time_s: float) -> bool:
        """Whether a face of `quality`, above 0 and up to 1, seen at `time_s`, is worth a vote."""
        if self.is_settled:
            return False
        if self.votes_sent == 0 or quality >= self.best + CLEARLY_BETTER:
            return True
        if self.votes_sent >= MAX_VOTES - KEPT_FOR_BETTER:
            return False
        return time_s >= self.last_s + FIRST_GAP_S * GAP_GROWTH ** (self.votes_sent - 1)

    def add(self, quality: float, time_s: float) -> int:
        """Counts the face as a vote; the return value is its number, from 1."""
        self.votes_sent += 1
        self.quality += quality
        self.best = max(self.best, quality)
        self.last_s = time_s
        return self.votes_sent
