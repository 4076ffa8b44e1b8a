"""What `agegender cameras` does: reads and writes the table of cameras, probes cameras, prints."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress

from agegender.commands.cameras.changes import CameraChange, changes
from agegender.commands.cameras.table import CameraTable, open_table
from agegender.commands.cameras.view import (
    camera_record,
    cameras_table,
    change_line,
    probed_lines,
    probed_record,
)
from agegender.commands.process import start_process
from agegender.commands.terminal import table_console
from agegender.shared.cameras.camera import Camera, camera_of, cameras_from_sources, load_cameras
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage, MissingExtra, NotNow, SettingsError

if TYPE_CHECKING:
    from agegender.commands.cameras.probing import ProbedCamera

_MOST_AT_ONCE = 32
_LOG_LEVEL = "error"


def apply(file: Path, *, prune: bool, dry_run: bool) -> None:
    """Replaces the cameras in Kafka by those of a file; without `prune`, the others stay."""
    start_process(_LOG_LEVEL)
    wanted = [CameraSettings.of(camera) for camera in load_cameras(file)]
    with open_table() as table:
        _make(table, changes(table.cameras, wanted, prune=prune), dry_run=dry_run)
        left = sorted(table.cameras.keys() - {one.id for one in wanted})
    if left and not prune:
        _say(f"Not in the file, and left as they are (--prune removes them): {', '.join(left)}")


def add(fields: Mapping[str, object], *, replace: bool, dry_run: bool) -> None:
    """Adds the camera with these fields; raises SettingsError where it exists and is not to be replaced."""
    start_process(_LOG_LEVEL)
    wanted = CameraSettings.of(camera_of(fields))
    with open_table() as table:
        now = table.cameras.get(wanted.id)
        if isinstance(now, CameraSettings) and now != wanted and not replace:
            raise SettingsError(f"camera {wanted.id} exists with other settings: --replace changes it")
        _make(table, changes(table.cameras, [wanted], prune=False), dry_run=dry_run)


def remove(camera_ids: Sequence[str], *, dry_run: bool) -> None:
    """Removes these cameras; raises SettingsError for one that does not exist."""
    start_process(_LOG_LEVEL)
    with open_table() as table:
        now = table.cameras
        unknown = [one for one in camera_ids if one not in now]
        if unknown:
            raise SettingsError(f"no such camera: {', '.join(unknown)}. `agegender cameras list` shows all")
        _make(
            table, [CameraChange(one, now[one], None) for one in dict.fromkeys(camera_ids)], dry_run=dry_run
        )


def print_all(*, as_json: bool) -> bool:
    """Prints all cameras; returns whether all of their records are good."""
    start_process(_LOG_LEVEL)
    with open_table() as table:
        cameras = table.cameras
    if as_json:
        for camera_id, camera in cameras.items():
            typer.echo(json.dumps(camera_record(camera_id, camera)))
    elif cameras:
        table_console().print(cameras_table(cameras))
    else:
        _say("There are no cameras: `agegender cameras add ID URL` adds one.")
    return not any(isinstance(one, BadMessage) for one in cameras.values())


def validate(file: Path, *, for_kafka: bool) -> bool:
    """Checks a file of cameras, and prints what deserves a look.

    Args:
        for_kafka: whether all cameras are to go into Kafka, as `apply` puts them there.

    Returns:
        Whether the command that takes the file accepts it: `apply` with `for_kafka`, else `run`.

    Raises:
        SettingsError: neither command accepts it.
    """
    start_process(_LOG_LEVEL)
    cameras = load_cameras(file)
    unfit = [line for camera in cameras for line in _unfit_for_kafka(camera)] if for_kafka else []
    notes = [line for camera in cameras for line in _notes(camera)]
    by_source: dict[str, list[str]] = {}
    for camera in cameras:
        by_source.setdefault(camera.source, []).append(camera.id)
    notes += [f"{' and '.join(ids)} have the same source" for ids in by_source.values() if len(ids) > 1]
    for line in (*unfit, *notes):
        typer.echo(line)
    number = f"{len(cameras)} {'camera' if len(cameras) == 1 else 'cameras'}"
    if unfit:
        typer.echo(f"{number}, and {len(unfit)} cannot go into Kafka.")
    else:
        typer.echo(
            f"{number}: `agegender {'cameras apply' if for_kafka else 'run --cameras'}` accepts the file."
        )
    return not unfit


def probe(
    targets: Sequence[str],
    login: Mapping[str, str | Path | None],
    seconds: float,
    answer_s: float,
    *,
    as_json: bool,
) -> bool:
    """Watches cameras for a few seconds and prints what was found; returns whether all give frames."""
    start_process(_LOG_LEVEL)
    found = _probe_all([one for target in targets for one in _targets(target, login)], seconds, answer_s)
    for one in found:
        if as_json:
            typer.echo(json.dumps(probed_record(one)))
        else:
            for line in probed_lines(one):
                Console().print(line, highlight=False, soft_wrap=True)
    return all(one.ok for one in found)


def _unfit_for_kafka(camera: Camera) -> list[str]:
    try:
        CameraSettings.of(camera)
    except SettingsError as error:
        return [str(error)]
    return []


def _notes(camera: Camera) -> list[str]:
    """What keeps this camera from giving frames here, as far as that shows without a connection."""
    if camera.kind == "file" and not Path(camera.source).exists():
        return [f"camera {camera.id}: there is no file or folder {camera.source!r} here"]
    if camera.password_env is not None and camera.password_env not in os.environ:
        return [f"camera {camera.id}: environment variable {camera.password_env} is not set here"]
    if camera.password_file is not None and not os.access(camera.password_file, os.R_OK):
        return [f"camera {camera.id}: {str(camera.password_file)!r} cannot be read here"]
    return []


def _probe_all(cameras: Sequence[Camera], seconds: float, answer_s: float) -> list[ProbedCamera]:
    # PyAV opens them: `cameras list` is to start without it.
    from agegender.commands.cameras.probing import probe as probe_one

    err = Console(stderr=True)
    with (
        Progress(console=err, transient=True, disable=not err.is_terminal) as progress,
        ThreadPoolExecutor(min(len(cameras), _MOST_AT_ONCE)) as pool,
    ):
        task = progress.add_task("probing", total=len(cameras))
        work = [pool.submit(probe_one, camera, seconds, answer_s) for camera in cameras]
        for one in work:
            one.add_done_callback(lambda _: progress.advance(task))
        return [one.result() for one in work]


def _targets(target: str, login: Mapping[str, str | Path | None]) -> Sequence[Camera]:
    path = Path(target)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_cameras(path)
    if "://" in target:
        return [camera_of({"id": "camera", "source": target, **login})]
    if target.lower().startswith("webcam:") or len(path.parts) > 1 or path.exists():
        return [one.model_copy(update={"id": "camera"}) for one in cameras_from_sources([target])]
    try:
        with open_table() as table:
            camera = table.cameras.get(target)
    except (MissingExtra, NotNow) as error:
        raise SettingsError(
            f"{target!r} is no URL and no file here. As the name of a camera: {error}"
        ) from None
    if isinstance(camera, BadMessage):
        raise SettingsError(f"the record of camera {target} is bad: {camera}")
    if camera is None:
        raise SettingsError(f"{target!r} is no URL and no file, and no camera in Kafka has this name")
    return [camera.camera()]


def _make(table: CameraTable, found: Sequence[CameraChange], *, dry_run: bool) -> None:
    console = Console()
    for change in found:
        console.print(change_line(change), highlight=False, soft_wrap=True)
    if not found:
        _say("Nothing changes.")
    elif dry_run:
        _say("Nothing was written (--dry-run).")
    else:
        table.write(found)


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)
