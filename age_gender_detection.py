"""Age and gender of the faces in pictures, folders and videos, on this machine.

    python age_gender_detection.py photo.jpg holiday/ clip.mp4
    python age_gender_detection.py --json photo.jpg

From Python:

    from age_gender_detection import analyze
    for result in analyze("photo.jpg"):
        print(result.age_years, result.gender, result.face.box_xyxy)

The stages are those of the pipeline: what reads a camera there reads the file here.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from agegender.pipeline import Pipeline, PipelineSettings
from agegender.records import age_text, face_record, face_size, gender_texts
from shared.cameras import cameras_from_sources
from shared.errors import AgeGenderError
from shared.logs import set_up_logs
from shared.messages import Result
from shared.metrics import Metrics
from shared.service import EXIT_BAD_SETTINGS


class Unreadable(AgeGenderError):
    """Something that was to be analyzed is missing, broken or of a kind that nothing here reads."""


class _Collected:
    """An output that keeps what it gets."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def open(self) -> None:
        """Nothing to connect to."""

    def write(self, messages: Sequence[Result]) -> None:
        """Keeps them."""
        self.results.extend(messages)

    def close(self) -> None:
        """Nothing to close."""


def analyze(source: str | Path) -> list[Result]:
    """The faces of a picture, of all pictures of a folder, or of a video (five frames a second of it).

    In the order of files, frames, and from left to right. Boxes are in pixels of the analyzed frame, whose
    size each result holds and whose longer side is at most 1280. Loads the nets on every call.

    Raises:
        Unreadable: the file is missing or broken, or some pictures of the folder are.
    """
    metrics = Metrics(CollectorRegistry())
    collected = _Collected()
    pipeline = Pipeline(cameras_from_sources([str(source)]), PipelineSettings.load(), collected, metrics)
    pipeline.run(threading.Event())
    for failure in pipeline.cameras.failures.values():
        raise Unreadable(f"{source}: {failure}")
    dropped = int(metrics.total("agegender_messages_dropped_total"))
    if dropped:
        raise Unreadable(f"{source}: {dropped} of its pictures cannot be read")
    return sorted(collected.results, key=lambda one: (one.face.frame.sequence, one.face.index))


def _table(results: Sequence[Result]) -> Table:
    table = Table(show_header=True)
    for name in ("file", "time", "face", "age", "gender", "sure", "size"):
        table.add_column(name, justify="right" if name in ("time", "age", "sure", "size") else "left")
    for one in results:
        face = one.face
        media_time_s = face.frame.media_time_s
        table.add_row(
            face.frame.file or "",
            "" if media_time_s is None else f"{media_time_s:.1f} s",
            f"{face.index + 1} of {face.faces_in_frame}",
            age_text(one),
            *gender_texts(one),
            face_size(face),
        )
    return table


def _analyze_all(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, video files.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a face and line.")] = False,
) -> None:
    """Finds the faces in pictures, folders and videos, and estimates their age and gender."""
    set_up_logs("error", "text")
    failed = False
    for source in inputs:
        try:
            results = analyze(source)
        except Unreadable as error:
            typer.echo(f"agegender: {error}", err=True)
            failed = True
            continue
        if as_json:
            for one in results:
                typer.echo(json.dumps(face_record(one)))
        elif results:
            Console().print(_table(results))
        else:
            typer.echo(f"{source}: no face")
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """The entry point: exit status 0, 1 when an input could not be read, 2 when a setting is wrong."""
    try:
        typer.run(_analyze_all)
    except AgeGenderError as error:
        typer.echo(f"agegender: {error}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)


if __name__ == "__main__":
    main()
