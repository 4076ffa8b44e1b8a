"""Fit the heads of the packs to labelled faces, and store them in `shared/models`.

::

    OPENBLAS_NUM_THREADS=1 python -m tools.packs.fit_head FAIRFACE ALL_AGE_FACES --readings FOLDER --write

The people of each set are split in two by their number. Heads are fitted to each half in turn, three seeds
each. A pack ships the mean of all six. `tools.packs.compare` reports each half by the three heads that never
saw it. The expected error is learnt within each half: heads fitted to one quarter of the people read the
other quarter. On one thread of the same kind of processor, the same faces give the same bytes each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agegender.services.classify.head import (
    Floats,
    Head,
    Members,
    PublishedHeads,
    Readings,
    corrected,
    what_nets_say,
)
from agegender.services.classify.nets import NET_A, NET_B, NET_C
from agegender.shared.models import FOLDER, FittedOn, PackName, load_manifest
from tools.packs.faces import ReadFaces, fitted_on, read_faces
from tools.packs.training import Course, Lessons, off_years, together, train, train_errors
from tools.rebuild_weights import fetch, read_faceres

SEEDS = (0, 1, 2)
_COPY_COUNTS = 0.3
_OPEN_END_YEARS, _OPEN_MIDDLE_YEARS = 85.0, 75.0


@dataclass(frozen=True)
class Recipe:
    """What a pack is made of, and how its head is fitted."""

    nets: tuple[str, ...]
    mirrored: tuple[str, ...]
    datasets: Mapping[str, float]
    """How much a face of each set counts, by the name of its folder."""
    course: Course
    copies_teach_ages: bool = False
    """Whether smaller and blurred copies teach the age too. They always teach the expected error."""


@dataclass(frozen=True)
class FittedHalf:
    """What was fitted to one half of the people."""

    members: Members
    errors: Members

    def head(self, published: PublishedHeads) -> Head:
        """The head of this half."""
        return Head(published, self.members, self.errors)


RECIPES: Mapping[PackName, Recipe] = {
    "default": Recipe(
        (NET_A, NET_B, NET_C), (NET_B,), {"fairface": 8.0, "aaf": 1.0}, Course(14, fits_age=True)
    ),
    "open": Recipe(
        (NET_A, NET_B, NET_C), (NET_B,), {"fairface": 1.0}, Course(20, fits_age=False, error_epochs=0)
    ),
    "fast": Recipe((NET_B, NET_C), (), {"fairface": 8.0, "aaf": 1.0}, Course(14, fits_age=True)),
}

_BOTH_SETS = {"fairface": 8.0, "aaf": 1.0}
LEFT_OUT: Mapping[str, Recipe] = {
    "A and B mirrored too, C": Recipe(
        (NET_A, NET_B, NET_C), (NET_A, NET_B), _BOTH_SETS, Course(14, fits_age=True)
    ),
    "A, B, C, none mirrored": Recipe((NET_A, NET_B, NET_C), (), _BOTH_SETS, Course(14, fits_age=True)),
    "A, C": Recipe((NET_A, NET_C), (), _BOTH_SETS, Course(14, fits_age=True)),
    "default, copies teach ages": Recipe(
        (NET_A, NET_B, NET_C), (NET_B,), _BOTH_SETS, Course(14, fits_age=True), copies_teach_ages=True
    ),
}
"""What `tools.packs.compare` shows beside the packs."""


def main() -> int:
    """Fit, report sizes and sums, and store the heads where told to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--readings", type=Path, help="a folder that keeps what the nets read")
    parser.add_argument("--write", action="store_true", help="store the heads and their sums")
    chosen = parser.parse_args()
    faces = {path.name: read_faces(path, chosen.readings) for path in chosen.datasets}
    origins = {path.name: fitted_on(path, faces[path.name]) for path in chosen.datasets}
    published = published_heads()
    for pack, recipe in RECIPES.items():
        halves = fit_halves(recipe, faces, published)
        members, errors = ([getattr(half, part) for half in halves] for part in ("members", "errors"))
        content = Head(published, together(members), together(errors)).to_bytes()
        sys.stdout.write(f"{pack}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}\n")
        if chosen.readings is not None:
            for half, fitted in enumerate(halves):
                half_file(chosen.readings, pack, half).write_bytes(fitted.head(published).to_bytes())
        if chosen.write:
            store(pack, "head", f"head_{pack}.npz", content, [origins[name] for name in recipe.datasets])
    return 0


def fit_halves(
    recipe: Recipe, faces: Mapping[str, ReadFaces], published: PublishedHeads
) -> Sequence[FittedHalf]:
    """What is fitted to each half of the people, with members for each seed."""
    fitted = []
    for half in (0, 1):
        parts = [
            _lessons(recipe, faces[name].where(faces[name].half == half), counts)
            for name, counts in recipe.datasets.items()
        ]
        lessons = _joined([lesson for part in parts for lesson in part])
        members = [train(_taught(lessons, recipe), published, recipe.course, seed) for seed in SEEDS]
        off = _off_years(lessons, published, recipe)
        errors = [train_errors(lessons, published, recipe.course, off, seed) for seed in SEEDS]
        fitted.append(FittedHalf(together(members), together(errors)))
    return fitted


def _taught(lessons: Lessons, recipe: Recipe) -> Lessons:
    """The faces that teach age and gender."""
    return lessons if recipe.copies_teach_ages else lessons.where(~lessons.copied)


def _off_years(lessons: Lessons, published: PublishedHeads, recipe: Recipe) -> Floats:
    """How far off each face is read by a head that was fitted to the other quarter of the people, (N,)."""
    quarter = lessons.person // 2 % 2
    off = np.empty(len(quarter), np.float32)
    for one in (0, 1):
        taught, asked = lessons.where(quarter != one), lessons.where(quarter == one)
        members = train(_taught(taught, recipe), published, recipe.course, SEEDS[0])
        age_years = corrected(what_nets_say(published, asked.readings), members).age_years
        off[quarter == one] = off_years(age_years, asked)
    return off


def half_file(readings: Path, name: str, half: int) -> Path:
    """Where the head of a pack or of another recipe is kept that was fitted to one half of the people."""
    return readings / f"head_{re.sub(r'[^a-zA-Z]+', '-', name)}_{half}.npz"


def published_heads() -> PublishedHeads:
    """Net C's own heads, from the package that it comes from."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = read_faceres(fetch(load_manifest().nets[NET_C].origin, Path(folder)))
    return PublishedHeads(
        hidden_weights=tensors["feats/kernel"],
        hidden_bias=tensors["feats/bias"],
        age_weights=tensors["age_pred/kernel"],
        age_bias=tensors["age_pred/bias"],
        gender_weights=tensors["gender_pred/kernel"],
        gender_bias=tensors["gender_pred/bias"],
    )


def balanced(faces: ReadFaces) -> Floats:
    """The weight of each face, 1 on average: a decade and gender counts as the root of its faces."""
    middle_years = np.where(
        np.isinf(faces.end_years), _OPEN_MIDDLE_YEARS, (faces.low_years + faces.end_years) / 2
    )
    group = np.clip(middle_years // 10, 0, 7).astype(np.int64) * 2 + faces.male
    _, where, counts = np.unique(group, return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(counts[where])
    return np.asarray(weight / weight.mean(), np.float32)


def store(pack: PackName, part: str, file: str, content: bytes, origins: Sequence[FittedOn]) -> None:
    """Stores a head or a calibration, and its size, sum and origin in the manifest."""
    (FOLDER / file).write_bytes(content)
    path = FOLDER / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    recipe = RECIPES[pack]
    described = manifest["packs"].setdefault(pack, {"name": f"{pack}-1"})
    described |= {"nets": recipe.nets, "mirrored": recipe.mirrored}
    described[part] = {
        "file": file,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "fitted_on": [origin.model_dump() for origin in origins],
    }
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _lessons(recipe: Recipe, faces: ReadFaces, counts: float) -> Sequence[Lessons]:
    """The faces upright and mirrored: two lessons from each person."""
    end_years = np.where(
        np.isinf(faces.end_years), np.maximum(faces.low_years + 1, _OPEN_END_YEARS), faces.end_years
    )
    weight = np.where(faces.copied, np.float32(_COPY_COUNTS), np.float32(1))
    for alike in (faces.copied, ~faces.copied):
        if alike.any():
            weight[alike] *= balanced(faces.where(alike))
    weight *= np.float32(counts)
    return [
        Lessons(
            readings=readings,
            low_years=np.asarray(faces.low_years, np.float32),
            end_years=np.asarray(end_years, np.float32),
            male=np.asarray(faces.male, np.float32),
            weight=weight,
            copied=faces.copied,
            person=faces.person,
        )
        for readings in (faces.readings(recipe.nets, mirrored=()), faces.mirror_readings(recipe.nets))
    ]


def _joined(parts: Sequence[Lessons]) -> Lessons:
    return Lessons(
        readings=Readings(
            *(np.concatenate(columns) for columns in zip(*(one.readings for one in parts), strict=True))
        ),
        low_years=np.concatenate([one.low_years for one in parts]),
        end_years=np.concatenate([one.end_years for one in parts]),
        male=np.concatenate([one.male for one in parts]),
        weight=np.concatenate([one.weight for one in parts]),
        copied=np.concatenate([one.copied for one in parts]),
        person=np.concatenate([one.person for one in parts]),
    )


if __name__ == "__main__":
    sys.exit(main())
