"""Which part fails, how and for how long: a plan that follows from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Deed = Literal["kill", "freeze", "starve", "fail over", "fill", "delete", "set the clock"]

WORKERS = ("ingest", "ingest-2", "detect", "detect-2", "classify", "classify-2", "sink")
VICTIMS = (*WORKERS, "broker", "redis", "camera")
"""What is killed and started again, or stopped and continued."""

OTHER_FAULTS: Sequence[tuple[str, Deed]] = (
    ("cores", "starve"),
    ("redis", "fail over"),
    ("redis", "fill"),
    ("frames", "delete"),
    ("ingest-2", "set the clock"),
    ("detect-2", "set the clock"),
)

DECK = len(VICTIMS) + len(OTHER_FAULTS)
"""After so many rounds, each part has failed once, and each other fault has happened once."""

SESSION_S = 6.0
"""After so long without a word its group takes a worker for dead. Some are frozen for longer."""

_TEXTS: Mapping[Deed, str] = {
    "kill": "{victim} killed, started again after {lasts:.1f} s",
    "freeze": "{victim} stopped, continued after {lasts:.1f} s",
    "starve": "a quarter of the {victim} for {lasts:.1f} s",
    "fail over": "{victim} failed over, and back after {lasts:.1f} s",
    "fill": "{victim} full for {lasts:.1f} s",
    "delete": "{victim} deleted unread, after {lasts:.1f} s without detect",
    "set the clock": "{victim} with a clock that is an hour ahead for {lasts:.1f} s",
}
_SHORT_S = (0.2, 2.0)
_LONG_S = (SESSION_S + 1.0, SESSION_S + 3.0)
_LONG_OF_TEN = 3
_DOWN_S = (0.0, 2.0)
_OTHER_S = (1.0, 4.0)
_PAUSE_S = (0.2, 3.0)


@dataclass(frozen=True, slots=True)
class Round:
    """One fault."""

    number: int
    """From 1."""
    victim: str
    deed: Deed
    lasts_s: float
    """How long the victim is away, or the fault lasts."""
    pause_s: float
    """How long everything is left alone afterwards."""

    @property
    def text(self) -> str:
        """The fault in words."""
        return _TEXTS[self.deed].format(victim=self.victim, lasts=self.lasts_s)


def plan(seed: int, rounds: int) -> Sequence[Round]:
    """The rounds of a seed; a longer plan of the same seed begins with the shorter one.

    Each `DECK` rounds have every fault once, and each two of them both deeds to every victim.
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
    faults: list[tuple[str, Deed]] = [(one, "kill" if kills[one] else "freeze") for one in VICTIMS]
    faults += OTHER_FAULTS
    return [
        _round(chance, number, *fault)
        for number, fault in enumerate(chance.sample(faults, len(faults)), first_number)
    ]


def _round(chance: random.Random, number: int, victim: str, deed: Deed) -> Round:
    is_long = chance.randrange(10) < _LONG_OF_TEN
    lasts_s = {"kill": _DOWN_S, "freeze": _LONG_S if is_long else _SHORT_S}.get(deed, _OTHER_S)
    return Round(number, victim, deed, chance.uniform(*lasts_s), chance.uniform(*_PAUSE_S))
