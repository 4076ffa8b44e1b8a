"""One plan: computes it, simulates it, prints it."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from agegender.commands.plan.check import Check, check_plan, usual_delay
from agegender.commands.plan.constants import SHIPPED, Constants
from agegender.commands.plan.demand import Demand
from agegender.commands.plan.plan import make_plan
from agegender.commands.plan.tables import advice, check_grid, drawn, plan_grids, plan_record, sentences
from agegender.commands.query.records import write_json
from agegender.shared.errors import SettingsError

_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")


def run_plan(asked: Mapping[str, Any], constants: Path | None, *, simulate: bool, as_json: bool) -> bool:
    """Plans for a demand and prints the plan; returns whether the plan holds.

    Args:
        asked: the fields of `Demand`.
        constants: the file with the measurements of a machine; None: the file of this package.
        simulate: whether the plan is also simulated: usual hours, a rush, a worker that dies.

    Raises:
        SettingsError: a number is out of its range, or the file is malformed.
    """
    measured = Constants.load(constants or SHIPPED)
    made = make_plan(Demand(**asked), measured)
    checks = check_plan(made, measured) if simulate else [usual_delay(made, measured)]
    if as_json:
        write_json([{**plan_record(made), "simulated": [_record(one) for one in checks]}], sys.stdout)
    else:
        console = Console()
        for sentence in sentences(made, measured, checks[0]):
            console.print(sentence, highlight=False)
        for title, grid in plan_grids(made).items():
            console.print(drawn(title, grid))
        for sentence in advice(made, measured):
            console.print(f"- {sentence}", highlight=False)
        if simulate:
            console.print(drawn("Simulated", check_grid(checks)))
    return all(one.holds for one in checks)


def picture_size(option: str, text: str) -> tuple[int, int]:
    """Width and height in pixels of a text such as `1280x720`; raises SettingsError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise SettingsError(f"{option}: expected WIDTHxHEIGHT as in 1920x1080, got {text!r}")
    return int(found[1]), int(found[2])


def _record(check: Check) -> dict[str, object]:
    # JSON has no infinity.
    finite = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in check._asdict().items()
    }
    return {**finite, "holds": check.holds}
