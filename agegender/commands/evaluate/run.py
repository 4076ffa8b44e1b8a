"""A whole evaluation: reads the labels, classifies the pictures with a progress bar, adds up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agegender.commands.evaluate.answers import Classified, answers_in
from agegender.commands.evaluate.classify import FaceFinder, classify_labels
from agegender.commands.evaluate.dataset import Label, labels_file, load_labels
from agegender.commands.evaluate.groups import by_columns
from agegender.commands.evaluate.metrics import Evaluation, evaluated
from agegender.commands.evaluate.paired import Comparison, compared
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.shared.errors import SettingsError
from agegender.shared.models import Pack, PackName, load_manifest

_PACKS: Sequence[PackName] = get_args(PackName)


@dataclass(frozen=True)
class Evaluated:
    """One pack or model on a labelled dataset."""

    name: str
    """The pack as results name it, or the table of answers."""
    classified: Sequence[Classified]
    """For each label, in their order."""
    figures: Evaluation
    is_fitted_to_these: bool
    """Whether the head or the calibration of the pack was fitted to these labels."""


@dataclass(frozen=True)
class Evaluations:
    """Everything that a report is made of."""

    dataset: str
    """The name of the folder or of the table."""
    labels_sha256: str
    """Of the table; where file names are the labels, of these names, one a line."""
    of: Sequence[Evaluated]
    """One, or the two that are compared."""
    comparison: Comparison | None


def evaluate_dataset(
    dataset: Path, console: Console, *, compare: Sequence[str] = (), columns: Sequence[str] = ()
) -> Evaluations:
    """Classifies all labelled pictures of `dataset`. On a terminal, `console` shows a progress bar.

    A picture that cannot be read is counted, and the evaluation goes on.

    Args:
        dataset: see `dataset.load_labels`.
        console: for the progress bar.
        compare: two packs, or tables of answers; empty for the pack of the settings alone.
        columns: of the labels' table, to split the faces by.

    Raises:
        DatasetError: there is no label, a label is malformed, or a column is missing.
        AnswersError: a table of answers cannot be read.
        AgeGenderError: a setting is wrong, or a file of weights is missing or damaged.
    """
    labels = load_labels(dataset)
    splits = by_columns(labels, columns)
    settings = ClassifySettings.load()
    wanted = list(compare) or [settings.nets]
    packs = [pack for pack in _PACKS if pack in wanted]
    answered: dict[str, tuple[str, Sequence[Classified]]] = {
        name: (_shown(Path(name)), answers_in(_answers_file(name), labels))
        for name in wanted
        if name not in packs
    }
    described = load_manifest().packs
    for pack, classified in zip(packs, _by_packs(labels, packs, settings, console), strict=True):
        answered[pack] = described[pack].name, classified
    labels_sha256 = _labels_sha256(dataset, labels)
    fitted = {name for name in packs if is_fitted_to(described[name], labels_sha256)}
    found = [
        Evaluated(*answered[name], evaluated(answered[name][1], splits), name in fitted) for name in wanted
    ]
    return Evaluations(
        dataset=dataset.resolve().name,
        labels_sha256=labels_sha256,
        of=found,
        comparison=compared(found[0].classified, found[1].classified, splits) if compare else None,
    )


def _shown(answers: Path) -> str:
    """The table with its folder, because all reports name it alike."""
    return "/".join(answers.resolve().parts[-2:])


def _answers_file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise SettingsError(
            f"there is no pack and no table of answers {name!r}: expected {', '.join(_PACKS)}, or the "
            "answers.csv of an earlier report"
        )
    return path


def _by_packs(
    labels: Sequence[Label], packs: Sequence[PackName], settings: ClassifySettings, console: Console
) -> Sequence[Sequence[Classified]]:
    """What each pack answers for each label."""
    if not packs:
        return []
    finder = FaceFinder.load()
    stages = [build_classify_stage(settings.model_copy(update={"nets": pack})) for pack in packs]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        rows = list(
            progress.track(
                classify_labels(labels, finder, stages), total=len(labels), description="Classifying"
            )
        )
    return list(zip(*rows, strict=True))


def is_fitted_to(pack: Pack, labels_sha256: str) -> bool:
    """Whether the head or the calibration of `pack` was fitted to the labels with this sum."""
    fitted_on = (*pack.head.fitted_on, *pack.calibration.fitted_on)
    return any(one.labels_sha256 == labels_sha256 for one in fitted_on)


def _labels_sha256(dataset: Path, labels: Sequence[Label]) -> str:
    table = labels_file(dataset)
    content = table.read_bytes() if table else "".join(f"{label.name}\n" for label in labels).encode()
    return hashlib.sha256(content).hexdigest()
