"""Plays a plan through in good and in bad hours, and says whether it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.plan import Plan
from agegender.commands.plan.simulation import REBALANCE_S, Played, Scenario, play
from agegender.shared.process.settings import KafkaSettings

_USUAL = "the busy hour"
_SECONDS = 40.0
_DIES_S = 15.0
_AFTER_DEATH_S = 75.0
_SHORT_SECONDS = 15.0


class Check(NamedTuple):
    """One scenario."""

    what: str
    median_s: float
    p99_s: float
    worst_s: float
    allowed_s: float
    """What 99 of 100 faces are to be within; after a death, what the last seconds are to be within."""
    overloaded: int
    """Workers of detect that are given more than they can do."""
    late_for_s: float
    """For how long after a death faces came later than in the busy hour; infinite where they still do in the
    end, and 0 where no worker died."""

    @property
    def holds(self) -> bool:
        """Whether the plan does."""
        return self.overloaded == 0 and self.p99_s <= self.allowed_s and math.isfinite(self.late_for_s)


def usual_delay(plan: Plan, constants: Constants) -> Check:
    """The busy hour, played for a moment: enough for the delay."""
    return _steady(_USUAL, plan, constants, Scenario(_SHORT_SECONDS), plan.demand.within_s)


def check_plan(plan: Plan, constants: Constants) -> Sequence[Check]:
    """The busy hour as it is; with so many more faces as the headroom is for; and with a death in detect."""
    allowed_s = plan.demand.within_s
    rush = plan.demand.headroom
    checks = [
        _steady(_USUAL, plan, constants, Scenario(_SECONDS), allowed_s),
        _steady(f"{rush:g} times the faces", plan, constants, Scenario(_SECONDS, rush=rush), allowed_s),
    ]
    if plan.workers["detect"].workers > 1:
        scenario = Scenario(_DIES_S + _AFTER_DEATH_S, detect_dies_s=_DIES_S)
        checks.append(_death("a worker of detect dies", play(plan, constants, scenario), allowed_s))
    return checks


def _steady(what: str, plan: Plan, constants: Constants, scenario: Scenario, allowed_s: float) -> Check:
    played = play(plan, constants, scenario)
    return Check(
        what,
        played.percentile(0.5),
        played.percentile(0.99),
        played.percentile(1.0),
        allowed_s,
        played.overloaded,
        0.0,
    )


def _death(what: str, played: Played, allowed_s: float) -> Check:
    """Nothing is lost; what the dead worker's cameras sent waits until the group has noticed."""
    away_s = KafkaSettings().session_timeout_s + REBALANCE_S
    seconds, slowest_s = played.by_second(0.99)
    late = seconds[(seconds >= _DIES_S) & (slowest_s > allowed_s)]
    late_for_s = float(late.max() + 1 - _DIES_S) if len(late) else 0.0
    if late_for_s >= _AFTER_DEATH_S:
        late_for_s = math.inf
    return Check(
        what,
        played.percentile(0.5),
        played.percentile(0.99),
        played.percentile(1.0),
        away_s + allowed_s,
        played.overloaded,
        late_for_s,
    )
