"""How much several shots of one person are worth together.

    python -m tools.calibration.measure_shots DATASET

Each picture of DATASET, labelled as `agegender evaluate` reads it, becomes several shots at each of three
distances. The pipeline classifies them all.

1. The first table says how far the shots of one person lie apart, and how far all lie from the truth. That
   gives the share of the variance that is common to the shots of a person. It also gives the share that makes
   intervals and probabilities right.
2. The second table says how good the means over the shots are.
3. The third is about frames of real videos and of the simulator's scene, if they are available. No age is
   known there, but heads turn, and faces move.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agegender.analysis.analyzer import Analyzer
from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import Label, load_labels
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.shared.images.pictures import UnreadablePicture
from agegender.shared.images.quality import height_px
from agegender.shared.messages.pipeline import Face, Result
from agegender.shared.messages.votes import SHARED_ERROR
from agegender.shared.runtime.stage import Done
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples
from agegender.simulator.content.scenes import demo_scene
from tools.calibration.another_shot import another_shot
from tools.calibration.combined_shots import (
    Shots,
    Spread,
    Together,
    age_spread,
    bearable_shares,
    from_wildest,
    gender_spread,
    of_the_best,
    one_each,
    surprise,
)
from tools.calibration.labelled_faces import Floats, halves, known

SHOTS = 5
BANDS_PX = ((24.0, 48.0), (48.0, 96.0), (96.0, 192.0))
_FPS = 10.0
_LEAST_FACES = 20
_SUREST = 0.9999
_WILDEST = 0.05


def main() -> int:
    """Measure and print the tables."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--shared", type=float, default=SHARED_ERROR, help=f"instead of {SHARED_ERROR:g}, 0 to 1"
    )
    chosen = parser.parse_args()
    labels = load_labels(chosen.dataset)
    cv2.setNumThreads(1)
    console = Console(width=120)
    shots = measure(labels)
    console.print(spreads(shots))
    console.print(worth(shots, chosen.shared))
    console.print(filmed())
    return 0


def measure(labels: Sequence[Label]) -> Shots:
    """SHOTS shots of each person at each distance, without those that the pipeline leaves unclassified."""
    finder = FaceFinder.load()
    people: list[tuple[int, Label]] = []
    bands: list[int] = []
    faces: list[Face] = []
    for person, label in enumerate(labels):
        if label.gender is None:
            continue
        for band, face in _faces(finder, label, np.random.default_rng(person)):
            people.append((person, label))
            bands.append(band)
            faces.append(face)
    outcomes = build_classify_stage(ClassifySettings.load()).classify(faces)
    results = [outcome.outputs[0] for outcome in outcomes if isinstance(outcome, Done)]
    classified = np.array([result.age_years is not None for result in results])
    columns = np.array([_columns(one) for one in results if one.age_years is not None], np.float64).T
    quality, age_years, from_years, to_years, male_log_odds = columns
    return Shots(
        **vars(known(people).where(classified)),
        band=np.array(bands)[classified],
        quality=quality,
        age_years=age_years,
        from_years=from_years,
        to_years=to_years,
        male_log_odds=male_log_odds,
    )


def _faces(finder: FaceFinder, label: Label, rng: np.random.Generator) -> Iterator[tuple[int, Face]]:
    """The face in each shot of the picture, and the distance that it is seen from."""
    picture = read_picture(label.path)
    near = finder.middle_face(picture, label.path)
    if isinstance(picture, UnreadablePicture) or not isinstance(near, Face):
        return
    frame = near.info.frame
    near_px = height_px(near.info) * max(picture.shape[:2]) / max(frame.width_px, frame.height_px)
    for band, (low_px, end_px) in enumerate(BANDS_PX):
        for _ in range(SHOTS if near_px > low_px else 0):
            face_px = float(np.exp(rng.uniform(np.log(low_px), np.log(min(end_px, near_px)))))
            shot = another_shot(picture, face_px / near_px, face_px, rng)
            face = finder.middle_face(shot, label.path)
            if isinstance(face, Face):
                yield band, face


def _columns(result: Result) -> tuple[float, ...]:
    if result.age_years is None or result.age_interval_years is None or result.male_probability is None:
        raise ValueError(f"face {result.face.face_id} was not classified")
    male = float(np.clip(result.male_probability, 1 - _SUREST, _SUREST))
    quality = 1.0 if result.face.quality is None else result.face.quality
    return quality, result.age_years, *result.age_interval_years, float(np.log(male / (1 - male)))


def _distances(shots: Shots) -> Mapping[str, Shots]:
    """The shots by the height of the face."""
    names = [f"{low_px:.0f} to {end_px:.0f} px" for low_px, end_px in BANDS_PX]
    return {name: shots.where(shots.band == band) for band, name in enumerate(names)}


def spreads(shots: Shots) -> Table:
    """How far apart the readings lie, at each distance."""
    table = Table(title="How far shots lie apart: of one person · all from the truth · share in common")
    wild = f"age: of the wildest {_WILDEST:.0%}"
    for name in ("height of the face", "people", "shots", "age, years", "gender, log odds", wild):
        table.add_column(name, justify="right" if table.columns else "left")
    for name, there in _distances(shots).items():
        people, count = len(np.unique(there.person)), len(there.person)
        spread = _said(age_spread(there)), _said(gender_spread(there))
        share = from_wildest(there.age_years, there.person, _WILDEST)
        table.add_row(name, str(people), str(count), *spread, f"{share:.0%} of the variance")
    table.add_section()
    table.add_row("mean of the shares", "", "", *_by_half(shots, _mean_shares))
    table.add_row("share that the means bear", "", "", *_by_half(shots, _bearable))
    return table


def _said(spread: Spread) -> str:
    return f"{spread.within:.1f} · {spread.overall:.1f} · {spread.shared:.2f}"


def _mean_shares(shots: Shots) -> tuple[float, float]:
    there = _distances(shots).values()
    return fmean(age_spread(some).shared for some in there), fmean(
        gender_spread(some).shared for some in there
    )


def _bearable(shots: Shots) -> tuple[float, float]:
    return bearable_shares(list(_distances(shots).values()))


def _by_half(shots: Shots, shares: Callable[[Shots], tuple[float, float]]) -> Sequence[str]:
    """The shares of the age and of the gender, and how far those of half of the people deviate."""
    deviations = np.std([shares(shots.where(half)) for half in halves(shots.person)], axis=0)
    return [f"{share:.2f} ± {off:.2f}" for share, off in zip(shares(shots), deviations, strict=True)]


def worth(shots: Shots, shared: float) -> Table:
    """What one shot and all shots of a person say, at each distance and at all."""
    table = Table(title=f"What one shot is worth, and all shots of a person, with {shared:g} in common")
    names = (
        "height of the face",
        "",
        "age error",
        "interval",
        "holds",
        "gender right",
        "differs",
        "surprise",
    )
    for name in names:
        table.add_column(name, justify="right" if len(table.columns) > 1 else "left")
    for name, there in {**_distances(shots), "at all distances": shots}.items():
        together = Together.of(there)
        narrowed, surer = together.narrowed(shared), together.surer(shared)
        count = len(there.person) / len(together.person)
        several = f"mean of {count:.1f} shots"
        table.add_row(
            name, "one shot", *_figures(there, (there.from_years, there.to_years), there.male_log_odds)
        )
        plain = (together.from_years, together.to_years)
        table.add_row("", several, *_figures(together, plain, together.male_log_odds))
        table.add_row("", "the same, narrowed", *_figures(together, narrowed, surer))
        age_years, narrowed = of_the_best(there, shared)
        best = replace(together, age_years=age_years)
        table.add_row("", "the best of them", *_figures(best, narrowed, surer), end_section=True)
    return table


def _figures(faces: Shots | Together, interval: tuple[Floats, Floats], male_log_odds: Floats) -> list[str]:
    guessed = male_log_odds > 0
    flips = [len(np.unique(guessed[faces.person == one])) > 1 for one in np.unique(faces.person)]
    errors_years, width_years, holds, right, surprises = (
        one_each(values, faces.person)
        for values in (
            np.abs(faces.off_years(faces.age_years)),
            interval[1] - interval[0],
            faces.covered(*interval),
            guessed == faces.male,
            surprise(faces.male, male_log_odds),
        )
    )
    return [
        f"{errors_years:.2f} years",
        f"{width_years:.1f} years",
        f"{holds:.1%}",
        f"{right:.1%}",
        f"{np.mean(flips):.0%}" if isinstance(faces, Shots) else "",
        f"{surprises:.3f}",
    ]


def filmed() -> Table:
    """How far the frames of one person lie apart in videos."""
    table = Table(title=f"Videos, {_FPS:g} frames a second: deviation · correlation after 0.1 and 1 s")
    for name in ("", "faces", "age, years", "gender, log odds"):
        table.add_column(name, justify="right" if table.columns else "left")
    with Analyzer(workers=1) as analyzer:
        for path in _videos():
            tracks: dict[str, list[tuple[float, ...]]] = {}
            for frame in analyzer.analyze_video(path, fps=_FPS).frames:
                for result in frame.faces:
                    if result.face.track_id is not None and result.age_years is not None:
                        tracks.setdefault(result.face.track_id, []).append(_columns(result))
            for number, rows in tracks.items():
                if len(rows) >= _LEAST_FACES:
                    _, age_years, _, _, log_odds = np.array(rows).T
                    name = f"{path.stem}, person {number}"
                    table.add_row(name, str(len(rows)), _series(age_years), _series(log_odds))
    return table


def _videos() -> Iterator[Path]:
    try:
        samples = fetch_samples()
        yield from (samples.single_face_video, samples.woman_video, samples.face_then_no_face_video)
    except SamplesUnavailable as error:
        sys.stderr.write(f"without the videos: {error}\n")
    yield demo_scene().path


def _series(values: Floats) -> str:
    """The deviation of the values, and their correlation with those one and ten frames later."""
    alike = [np.corrcoef(values[:-lag], values[lag:])[0, 1] for lag in (1, round(_FPS))]
    return " · ".join(f"{one:.1f}" for one in (values.std(ddof=1), *alike))


if __name__ == "__main__":
    sys.exit(main())
