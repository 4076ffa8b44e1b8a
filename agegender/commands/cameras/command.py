"""`agegender cameras …`: what a person can do with cameras."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agegender.commands.cameras.changes import Change, changes
from agegender.commands.cameras.probing import Finding, probe
from agegender.commands.cameras.table import CameraTable, open_table
from agegender.commands.cameras.view import (
    camera_record,
    cameras_table,
    change_line,
    finding_lines,
    finding_record,
)
from agegender.shared.cameras.camera import Camera, camera_of, cameras_from_sources, load_cameras
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage, SettingsError
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.settings import ProcessSettings

EXIT_WRONG = 1
_MOST_AT_ONCE = 32

cameras_app = typer.Typer(
    help="Which cameras the workers read, in Kafka; and what is wrong with one.", no_args_is_help=True
)

_FileArgument = Annotated[Path, typer.Argument(help="A YAML file with the list of cameras.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_Username = Annotated[str | None, typer.Option(help="The user that the camera knows.")]
_PasswordEnv = Annotated[
    str | None, typer.Option(help="The environment variable, on each worker, that holds the password.")
]
_PasswordFile = Annotated[
    Path | None, typer.Option(help="The file, on each worker, that holds the password.")
]


@cameras_app.callback()
def _set_up() -> None:
    process = ProcessSettings.load()
    set_up_logs(process.log_level or "error", process.log_format or "text")


@cameras_app.command()
def apply(
    file: _FileArgument,
    prune: Annotated[bool, typer.Option(help="Remove cameras that the file does not name.")] = False,
    dry_run: _DryRun = False,
) -> None:
    """Makes the cameras in Kafka those of a file; workers follow within a second, without a restart."""
    wanted = [CameraSettings.of(camera) for camera in load_cameras(file)]
    with open_table() as table:
        _make(table, changes(table.cameras, wanted, prune=prune), dry_run=dry_run)
        left = sorted(table.cameras.keys() - {one.id for one in wanted})
    if left and not prune:
        _say(f"Not in the file, and left as they are (--prune removes them): {', '.join(left)}")


@cameras_app.command()
def add(
    camera_id: Annotated[str, typer.Argument(metavar="ID", help="A name of letters, digits and . _ -")],
    source: Annotated[str, typer.Argument(help="An RTSP URL without a password.")],
    username: _Username = None,
    password_env: _PasswordEnv = None,
    password_file: _PasswordFile = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second to take.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="`live` drops what is too old, `complete` drops nothing; live unless told."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change a camera that is there.")] = False,
    dry_run: _DryRun = False,
) -> None:
    """Adds one camera, or changes it."""
    given = camera_of(
        {
            "id": camera_id,
            "source": source,
            "username": username,
            "password_env": password_env,
            "password_file": password_file,
            "fps": fps,
            "mode": mode,
        }
    )
    wanted = CameraSettings.of(given)
    with open_table() as table:
        now = table.cameras.get(camera_id)
        if isinstance(now, CameraSettings) and now != wanted and not replace:
            raise SettingsError(f"camera {camera_id} is there with other settings: --replace changes it")
        _make(table, changes(table.cameras, [wanted], prune=False), dry_run=dry_run)


@cameras_app.command()
def remove(
    camera_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The cameras.")],
    dry_run: _DryRun = False,
) -> None:
    """Removes cameras; their results stay."""
    with open_table() as table:
        now = table.cameras
        unknown = [one for one in camera_ids if one not in now]
        if unknown:
            raise SettingsError(f"no such camera: {', '.join(unknown)}. `agegender cameras list` shows all")
        _make(table, [Change(one, now[one], None) for one in dict.fromkeys(camera_ids)], dry_run=dry_run)


@cameras_app.command("list")
def list_cameras(as_json: _Json = False) -> None:
    """Shows the cameras in Kafka; of a login, only the user and where the password is."""
    with open_table() as table:
        cameras = table.cameras
    if as_json:
        for camera_id, camera in cameras.items():
            typer.echo(json.dumps(camera_record(camera_id, camera)))
    elif cameras:
        Console().print(cameras_table(cameras))
    else:
        _say("There are no cameras: `agegender cameras add ID URL` adds one.")
    if any(isinstance(one, BadMessage) for one in cameras.values()):
        raise typer.Exit(EXIT_WRONG)


@cameras_app.command()
def validate(file: _FileArgument) -> None:
    """Checks a file of cameras without reaching for any of them, nor for Kafka."""
    cameras = load_cameras(file)
    problems = [line for camera in cameras for line in _problems(camera)]
    by_source: dict[str, list[str]] = {}
    for camera in cameras:
        by_source.setdefault(camera.source, []).append(camera.id)
    problems += [f"{' and '.join(ids)} have the same source" for ids in by_source.values() if len(ids) > 1]
    for line in problems:
        typer.echo(line)
    if problems:
        raise typer.Exit(EXIT_WRONG)
    typer.echo(f"{len(cameras)} cameras, nothing is wrong.")


def _problems(camera: Camera) -> list[str]:
    try:
        CameraSettings.of(camera)
    except SettingsError as error:
        return [str(error)]
    if camera.password_env is not None and camera.password_env not in os.environ:
        return [f"camera {camera.id}: environment variable {camera.password_env} is not set here"]
    if camera.password_file is not None and not os.access(camera.password_file, os.R_OK):
        return [f"camera {camera.id}: {str(camera.password_file)!r} cannot be read here"]
    return []


@cameras_app.command("probe")
def probe_cameras(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...", help="RTSP URLs, webcam:0, videos, YAML files, or names of cameras in Kafka."
        ),
    ],
    username: _Username = None,
    password_env: _PasswordEnv = None,
    password_file: _PasswordFile = None,
    seconds: Annotated[float, typer.Option(help="How long to watch each.", min=1, max=600)] = 5.0,
    as_json: _Json = False,
) -> None:
    """Opens cameras for a few seconds: codec, size, rate, clock, and what is wrong; all at once."""
    login = {"username": username, "password_env": password_env, "password_file": password_file}
    cameras = [one for target in targets for one in _targets(target, login)]
    found = _probe_all(cameras, seconds)
    for one in found:
        if as_json:
            typer.echo(json.dumps(finding_record(one)))
        else:
            for line in finding_lines(one):
                Console().print(line, highlight=False, soft_wrap=True)
    if not all(one.ok for one in found):
        raise typer.Exit(EXIT_WRONG)


def _probe_all(cameras: Sequence[Camera], seconds: float) -> list[Finding]:
    err = Console(stderr=True)
    with (
        Progress(console=err, transient=True, disable=not err.is_terminal) as progress,
        ThreadPoolExecutor(min(len(cameras), _MOST_AT_ONCE)) as pool,
    ):
        task = progress.add_task("probing", total=len(cameras))
        work = [pool.submit(probe, camera, seconds) for camera in cameras]
        for one in work:
            one.add_done_callback(lambda _: progress.advance(task))
        return [one.result() for one in work]


def _targets(target: str, login: dict[str, str | Path | None]) -> Sequence[Camera]:
    path = Path(target)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_cameras(path)
    if "://" in target:
        return [camera_of({"id": "camera", "source": target, **login})]
    if target.lower().startswith("webcam:") or len(path.parts) > 1 or path.exists():
        return [one.model_copy(update={"id": "camera"}) for one in cameras_from_sources([target])]
    with open_table() as table:
        camera = table.cameras.get(target)
    if isinstance(camera, BadMessage):
        raise SettingsError(f"the record of camera {target} is bad: {camera}")
    if camera is None:
        raise SettingsError(f"{target!r} is no URL and no file, and no camera in Kafka has this name")
    return [camera.camera()]


def _make(table: CameraTable, found: Sequence[Change], *, dry_run: bool) -> None:
    console = Console()
    for change in found:
        console.print(change_line(change), highlight=False, soft_wrap=True)
    if not found:
        _say("Nothing changes.")
    elif dry_run:
        _say("Nothing was written, as --dry-run says.")
    else:
        table.write(found)


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)
