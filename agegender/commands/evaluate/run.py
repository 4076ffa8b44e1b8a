"""A whole evaluation: read the labels, judge the pictures with a progress bar, add up."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agegender.commands.evaluate.classify import FaceFinder, judge
from agegender.commands.evaluate.dataset import load_labels
from agegender.commands.evaluate.metrics import Evaluation, evaluated
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings


def evaluate(dataset: Path, console: Console) -> Evaluation:
    """Judges all labelled pictures of `dataset`; a bar on `console` shows how far it is, if it is a terminal.

    A picture that cannot be read is counted and ends nothing.

    Raises:
        DatasetError: nothing is labelled, or a label cannot be understood.
        AgeGenderError: a setting is wrong, or a file of weights is missing or damaged.
    """
    labels = load_labels(dataset)
    finder, classify = FaceFinder.load(), build_classify_stage(ClassifySettings.load())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return evaluated(
            progress.track(judge(labels, finder, classify), total=len(labels), description="Classifying")
        )
