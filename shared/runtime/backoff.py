"""Waits between retries."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Waits that double from `first_s` up to `max_s`, each shortened at random to between half and whole.

    The randomness keeps workers that lost the same server from returning all at once.
    """

    first_s: float = 0.2
    max_s: float = 5.0
    rng: random.Random = field(default_factory=random.Random)
    _next_s: float = field(init=False, default=0.0)

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        base = self._next_s or self.first_s
        self._next_s = min(base * 2, self.max_s)
        return min(base, self.max_s) * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Makes the next wait short again. Call it after a success."""
        self._next_s = 0.0
