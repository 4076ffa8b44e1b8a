"""`agegender cameras …`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_WRONG = 1

app = typer.Typer(
    help="Lists and changes the cameras in Kafka, and finds out what is wrong with one.",
    no_args_is_help=True,
    add_completion=False,
)

_FileArgument = Annotated[Path, typer.Argument(help="A YAML file with the list of cameras.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_Username = Annotated[str | None, typer.Option(help="The user name for the camera.")]
_PasswordEnv = Annotated[
    str | None, typer.Option(help="The environment variable, on each worker, that holds the password.")
]
_PasswordFile = Annotated[
    Path | None, typer.Option(help="The file, on each worker, that holds the password.")
]


@app.command()
def apply(
    file: _FileArgument,
    prune: Annotated[bool, typer.Option(help="Remove cameras that the file does not name.")] = False,
    dry_run: _DryRun = False,
) -> None:
    """Replaces the cameras in Kafka by those of a file. Workers follow within a second, without a restart."""
    from agegender.commands.cameras import actions

    actions.apply(file, prune=prune, dry_run=dry_run)


@app.command()
def add(
    camera_id: Annotated[str, typer.Argument(metavar="ID", help="A name of letters, digits and . _ -")],
    source: Annotated[str, typer.Argument(help="An RTSP URL without a password.")],
    username: _Username = None,
    password_env: _PasswordEnv = None,
    password_file: _PasswordFile = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second to take.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="`live` drops old frames, `complete` drops none; default: live."),
    ] = None,
    smallest_face_px: Annotated[
        int | None,
        typer.Option(help="Height of the smallest face to find, in pixels of a frame; saves CPU time."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change an existing camera.")] = False,
    dry_run: _DryRun = False,
) -> None:
    """Adds one camera, or changes it."""
    from agegender.commands.cameras import actions

    fields = {
        "id": camera_id,
        "source": source,
        "username": username,
        "password_env": password_env,
        "password_file": password_file,
        "fps": fps,
        "mode": mode,
        "smallest_face_px": smallest_face_px,
    }
    actions.add(fields, replace=replace, dry_run=dry_run)


@app.command()
def remove(
    camera_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The cameras.")],
    dry_run: _DryRun = False,
) -> None:
    """Removes cameras; their results stay."""
    from agegender.commands.cameras import actions

    actions.remove(camera_ids, dry_run=dry_run)


@app.command("list")
def list_cameras(as_json: _Json = False) -> None:
    """Lists the cameras in Kafka. Of a login it shows the user, and where the password is kept."""
    from agegender.commands.cameras import actions

    if not actions.print_all(as_json=as_json):
        raise typer.Exit(EXIT_WRONG)


@app.command()
def validate(
    file: _FileArgument,
    for_kafka: Annotated[
        bool, typer.Option("--kafka", help="Check what `cameras apply` takes, not what `run` takes.")
    ] = False,
) -> None:
    """Checks a file of cameras without a connection to any camera or to Kafka."""
    from agegender.commands.cameras import actions

    if not actions.validate(file, for_kafka=for_kafka):
        raise typer.Exit(EXIT_WRONG)


@app.command("probe")
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
    seconds: Annotated[
        float, typer.Option(help="How long to watch each, from its first picture on.", min=1, max=600)
    ] = 5.0,
    answer_seconds: Annotated[
        float, typer.Option(help="How long a camera may take to answer.", min=1, max=300)
    ] = 35.0,
    as_json: _Json = False,
) -> None:
    """Opens cameras for a few seconds, and reports codec, size, rate, clock and faults."""
    from agegender.commands.cameras import actions

    login = {"username": username, "password_env": password_env, "password_file": password_file}
    if not actions.probe(targets, login, seconds, answer_seconds, as_json=as_json):
        raise typer.Exit(EXIT_WRONG)
