"""A whole evaluation: reads the labels, classifies the pictures with a progress bar, adds up."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agegender.commands.evaluate.classify import FaceFinder, classify_labels
from agegender.commands.evaluate.dataset import load_labels
from agegender.commands.evaluate.metrics import Evaluation, evaluated
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings


def evaluate_dataset(dataset: Path, console: Console) -> Evaluation:
    """Classifies all labelled pictures of `dataset`. On a terminal, `console` shows a progress bar.

    A picture that cannot be read is counted, and the evaluation goes on.

    Raises:
        DatasetError: there is no label, or a label is malformed.
        AgeGenderError: a setting is wrong, or a file of weights is missing or damaged.
    """
    labels = load_labels(dataset)
    finder, classify = FaceFinder.load(), build_classify_stage(ClassifySettings.load())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return evaluated(
            progress.track(
                classify_labels(labels, finder, classify), total=len(labels), description="Classifying"
            )
        )
