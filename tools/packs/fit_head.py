"""Fit the heads of the packs to labelled faces, and store them in `shared/models`.

::

    OPENBLAS_NUM_THREADS=1 python -m tools.packs.fit_head FAIRFACE ALL_AGE_FACES --readings FOLDER --write

The people of each set are split in two by their number. Heads are fitted to each half in turn, three seeds
each. A pack ships the mean of all six. `tools.packs.compare` reports each half by the three heads that never
saw it. On one thread of the same kind of processor, the same faces give the same bytes each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agegender.services.classify.head import Floats, Head, Members, PublishedHeads, Readings
from agegender.services.classify.nets import NET_A, NET_B, NET_C
from agegender.shared.models import FOLDER, FittedOn, PackName, load_manifest
from tools.packs.faces import ReadFaces, fitted_on, read_faces
from tools.packs.training import Course, Lessons, together, train
from tools.rebuild_weights import fetch, read_faceres

SEEDS = (0, 1, 2)
_OPEN_END_YEARS, _OPEN_MIDDLE_YEARS = 85.0, 75.0


@dataclass(frozen=True)
class Recipe:
    """What a pack is made of, and how its head is fitted."""

    nets: tuple[str, ...]
    mirrored: tuple[str, ...]
    datasets: Mapping[str, float]
    """How much a face of each set counts, by the name of its folder."""
    course: Course


RECIPES: Mapping[PackName, Recipe] = {
    "default": Recipe(
        (NET_A, NET_B, NET_C), (NET_B,), {"fairface": 8.0, "aaf": 1.0}, Course(14, fits_age=True)
    ),
    "open": Recipe((NET_A, NET_B, NET_C), (NET_B,), {"fairface": 1.0}, Course(20, fits_age=False)),
    "fast": Recipe((NET_B, NET_C), (), {"fairface": 8.0, "aaf": 1.0}, Course(14, fits_age=True)),
}


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
        content = Head(published, together([members for half in halves for members in half])).to_bytes()
        sys.stdout.write(f"{pack}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}\n")
        if chosen.readings is not None:
            for half, members in enumerate(halves):
                kept = half_file(chosen.readings, pack, half)
                kept.write_bytes(Head(published, together(members)).to_bytes())
        if chosen.write:
            store(pack, "head", f"head_{pack}.npz", content, [origins[name] for name in recipe.datasets])
    return 0


def fit_halves(
    recipe: Recipe, faces: Mapping[str, ReadFaces], published: PublishedHeads
) -> Sequence[Sequence[Members]]:
    """The members fitted to each half of the people, one for each seed."""
    fitted = []
    for half in (0, 1):
        parts = [
            _lessons(recipe, faces[name].where((faces[name].half == half) & ~faces[name].copied), counts)
            for name, counts in recipe.datasets.items()
        ]
        lessons = _joined([lesson for part in parts for lesson in part])
        fitted.append([train(lessons, published, recipe.course, seed) for seed in SEEDS])
    return fitted


def half_file(readings: Path, pack: PackName, half: int) -> Path:
    """Where the head is kept that was fitted to one half of the people."""
    return readings / f"head_{pack}_{half}.npz"


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
    return [
        Lessons(
            readings=readings,
            low_years=np.asarray(faces.low_years, np.float32),
            end_years=np.asarray(end_years, np.float32),
            male=np.asarray(faces.male, np.float32),
            weight=balanced(faces) * np.float32(counts),
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
    )


if __name__ == "__main__":
    sys.exit(main())
