"""Best-shot selection: which faces of a track are worth classifying. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agegender.shared.messages.votes import MAX_VOTES

Selection = Literal["best-shot", "all"]
"""Classify the faces that can improve the answer for their track, or all faces."""

FIRST_GAP_S = 1.0
"""The gap between the first vote and the second."""

GAP_GROWTH = 1.25
"""Each gap is longer than the one before by this factor."""

CLEARLY_BETTER = 0.2
"""A face that is better than the best vote by this much votes without waiting for the gap."""

KEPT_FOR_BETTER = 4
"""The last votes are kept for clearly better faces: a person who was far away may come closer."""

ENOUGH_QUALITY = 8.0
"""No more faces vote once their qualities add up to this: eight very good faces, or twelve fair ones."""


@dataclass
class Ballot:
    """The votes of one track so far.

    The errors for faces of one person are alike, the more so the closer the faces are in time. With eight
    good faces the error is hardly a percent larger than with a hundred (`shared/messages/votes.py`). So the
    first usable face votes at once, and more follow after growing gaps. A clearly better face does not wait.
    After enough good votes, no more follow.
    """

    votes_sent: int = 0
    quality: float = 0.0
    """The sum over all votes."""
    best: float = 0.0
    last_s: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether no more faces vote, even better ones."""
        return self.quality >= ENOUGH_QUALITY or self.votes_sent >= MAX_VOTES

    def wants(self, quality: float, time_s: float) -> bool:
        """Whether a face should vote.

        Args:
            quality: of the face, above 0 and at most 1.
            time_s: of its frame.
        """
        if self.is_settled:
            return False
        if self.votes_sent == 0 or quality >= self.best + CLEARLY_BETTER:
            return True
        if self.votes_sent >= MAX_VOTES - KEPT_FOR_BETTER:
            return False
        return time_s >= self.last_s + FIRST_GAP_S * GAP_GROWTH ** (self.votes_sent - 1)

    def add(self, quality: float, time_s: float) -> int:
        """Counts the face as a vote, and returns the number of the vote, from 1."""
        self.votes_sent += 1
        self.quality += quality
        self.best = max(self.best, quality)
        self.last_s = time_s
        return self.votes_sent
