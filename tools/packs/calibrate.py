"""Fit the calibrations of the packs to labelled faces, and store them in `shared/models`.

::

    python -m tools.packs.calibrate FAIRFACE ALL_AGE_FACES --readings FOLDER --write

`tools.packs.fit_head` runs first and leaves the heads of both halves in FOLDER. Each half of the people is
read by the heads that never saw it, as it is and in smaller and blurred copies. The calibration of a pack is
fitted to these answers. FOLDER keeps the calibrations of both halves too, for `tools.packs.compare`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from agegender.services.classify.calibration import Calibration
from agegender.services.classify.head import Head, Predictions
from agegender.shared.models import PackName
from tools.packs.age_shift import fit_shift
from tools.packs.faces import ReadFaces, fitted_on, read_faces
from tools.packs.fit_head import RECIPES, balanced, half_file, store
from tools.packs.interval_fit import Answers, fit, joined

COUNTS: Mapping[str, float] = {"fairface": 12.0, "aaf": 1.0}
"""How much a face of each set counts. Spans say less than ages, and FairFace shows more of the world."""
_COPY_COUNTS = 0.35


def main() -> int:
    """Fit, and store the calibrations where told to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--readings", type=Path, required=True, help="the folder of `fit_head`")
    parser.add_argument("--write", action="store_true", help="store the calibrations and their sums")
    chosen = parser.parse_args()
    faces = {path.name: read_faces(path, chosen.readings) for path in chosen.datasets}
    origins = {path.name: fitted_on(path, faces[path.name]) for path in chosen.datasets}
    for pack, recipe in RECIPES.items():
        sets = [name for name in faces if name in recipe.datasets]
        halves = [
            {name: answers(pack, name, faces[name], half, chosen.readings) for name in sets}
            for half in (0, 1)
        ]
        for half, answered in enumerate(halves):
            path = half_calibration(chosen.readings, pack, half)
            path.write_text(as_json(calibrated(pack, answered)), encoding="utf-8")
        both = {name: joined([half[name] for half in halves]) for name in sets}
        content = as_json(calibrated(pack, both))
        sys.stdout.write(f"{pack}: fitted to {sum(len(one.male) for one in both.values())} faces\n")
        if chosen.write:
            file = f"calibration_{pack}.json"
            store(pack, "calibration", file, content.encode(), [origins[one] for one in sets])
    return 0


def calibrated(pack: PackName, sets: Mapping[str, Answers]) -> Calibration:
    """The calibration of `pack`, fitted to what it answers for the faces of some sets."""
    shift_years = fit_shift([one.where(~one.copied) for one in sets.values()])
    return fit(joined(list(sets.values())), f"{pack}-1", shift_years)


def half_calibration(readings: Path, pack: PackName, half: int) -> Path:
    """Where the calibration is kept that was fitted to one half of the people."""
    return readings / f"calibration_{pack}_{half}.json"


def unseen(pack: PackName, faces: ReadFaces, half: int, readings: Path) -> Predictions:
    """What `pack` answers for `faces`, all of one half, by the heads fitted to the other half."""
    head = Head.from_bytes(half_file(readings, pack, 1 - half).read_bytes())
    recipe = RECIPES[pack]
    return head.predict(faces.readings(recipe.nets, mirrored=recipe.mirrored))


def answers(pack: PackName, name: str, faces: ReadFaces, half: int, readings: Path) -> Answers:
    """What `pack` answers for one half of a set, by the heads fitted to the other half."""
    there = faces.where(faces.half == half)
    read = unseen(pack, there, half, readings)
    weight = balanced(there) * np.where(there.copied, _COPY_COUNTS, 1.0) * COUNTS[name]
    return Answers(
        age_years=read.age_years.astype(np.float64),
        male_logit=read.male_logit.astype(np.float64),
        quality=there.quality,
        turn=there.turn,
        error_years=read.error_years.astype(np.float64),
        low_years=there.low_years,
        end_years=there.end_years,
        male=there.male,
        weight=weight.astype(np.float64),
        copied=there.copied,
    )


def as_json(calibration: Calibration) -> str:
    """JSON with each row of a table on a line of its own."""
    text = json.dumps(calibration.model_dump(mode="json"), indent=2)
    rows = re.compile(r"\[\s+(-?[\d.]+(?:,\s+-?[\d.]+)*)\s+\]")
    return rows.sub(lambda row: "[" + re.sub(r",\s+", ", ", row[1]) + "]", text) + "\n"


if __name__ == "__main__":
    sys.exit(main())
