"""Which part fails, how and for how long: a plan that follows from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Deed = Literal["kill", "freeze"]
"""SIGKILL and a new start, or SIGSTOP and SIGCONT; a camera goes and comes back, or shows nothing new."""

WORKERS = ("ingest", "ingest-2", "detect", "detect-2", "classify", "classify-2", "sink")
VICTIMS = (*WORKERS, "broker", "redis", "camera")

SESSION_S = 6.0
"""After so long without a word its group takes a worker for dead. Some are frozen for longer."""

_SHORT_S = (0.2, 2.0)
_LONG_S = (SESSION_S + 1.0, SESSION_S + 3.0)
_LONG_OF_TEN = 3
_DOWN_S = (0.0, 2.0)
_PAUSE_S = (0.2, 3.0)


@dataclass(frozen=True, slots=True)
class Round:
    """One deed."""

    number: int
    """From 1."""
    victim: str
    deed: Deed
    lasts_s: float
    """How long the victim is away."""
    pause_s: float
    """How long everything is left alone afterwards."""

    @property
    def text(self) -> str:
        """The deed in words."""
        verb = "killed, started again" if self.deed == "kill" else "stopped, continued"
        return f"{self.victim} {verb} after {self.lasts_s:.1f} s"


def plan(seed: int, rounds: int) -> Sequence[Round]:
    """The rounds of a seed; a longer plan of the same seed begins with the shorter one.

    Each ten rounds have every victim once, and each twenty, from the first, both deeds to each of them.
    """
    chance = random.Random(seed)  # noqa: S311  (no secret)
    found: list[Round] = []
    while len(found) < rounds:
        first = {victim: chance.random() < 0.5 for victim in VICTIMS}
        second = {victim: not kills for victim, kills in first.items()}
        for kills in (first, second):
            found += _deck(chance, kills, len(found) + 1)
    return found[:rounds]


def _deck(chance: random.Random, kills: Mapping[str, bool], first_number: int) -> Sequence[Round]:
    victims = chance.sample(VICTIMS, len(VICTIMS))
    return [
        _round(chance, number, victim, "kill" if kills[victim] else "freeze")
        for number, victim in enumerate(victims, first_number)
    ]


def _round(chance: random.Random, number: int, victim: str, deed: Deed) -> Round:
    is_long = chance.randrange(10) < _LONG_OF_TEN
    away_s = _DOWN_S if deed == "kill" else _LONG_S if is_long else _SHORT_S
    return Round(number, victim, deed, chance.uniform(*away_s), chance.uniform(*_PAUSE_S))
