"""`agegender query …`: the options."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from agegender.shared.times import EXPECTED, EXPECTED_ZONE

app = typer.Typer(
    help="Asks the store for visits, counts, cameras and faces.",
    no_args_is_help=True,
    add_completion=False,
)

_NOT_HIDDEN = 1

_Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Only this camera; may be given several times.")
]
_AgeBands = Annotated[
    list[str] | None,
    typer.Option("--age-band", help="Only this age band, such as 20-29, 70+ or unknown; several times."),
]
_Genders = Annotated[
    list[str] | None,
    typer.Option("--gender", help="Only this gender: female, male or unknown; several times."),
]
_Since = Annotated[str, typer.Option(help=f"From this time on: {EXPECTED}.")]
_Until = Annotated[str | None, typer.Option(help="Before this time; without it, to the newest.")]
_Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", metavar="NAME", help=f"The zone of all times: {EXPECTED_ZONE}. Without it, local time."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values with a heading.")]


@app.command()
def cameras(tz: _Zone = None, as_json: _Json = False, as_csv: _Csv = False) -> None:
    """Lists the cameras: whether they are live, and why not."""
    from agegender.commands.query import answers

    answers.cameras(answers.Form.of(as_json=as_json, as_csv=as_csv, tz=tz))


@app.command()
def now(camera: _Cameras = None, tz: _Zone = None, as_json: _Json = False, as_csv: _Csv = False) -> None:
    """Lists the visits that go on now."""
    from agegender.commands.query import answers

    answers.now(answers.Form.of(as_json=as_json, as_csv=as_csv, tz=tz), camera)


@app.command()
def visits(
    camera: _Cameras = None,
    since: _Since = "24h",
    until: _Until = None,
    age_band: _AgeBands = None,
    gender: _Genders = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 50,
    tz: _Zone = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Lists visits by the time when they began, the newest first."""
    from agegender.commands.query import answers

    form = answers.Form.of(as_json=as_json, as_csv=as_csv, tz=tz)
    asked = answers.Filter.of(form, camera, since, until, age_band, gender)
    answers.visits(form, asked, limit)


@app.command()
def counts(
    camera: _Cameras = None,
    since: _Since = "24h",
    until: _Until = None,
    by: Annotated[Literal["minute", "hour", "day"], typer.Option(help="The period of each count.")] = "hour",
    age_band: _AgeBands = None,
    gender: _Genders = None,
    least: Annotated[
        int,
        typer.Option(
            help="Add up or leave out counts below this number, 3 or more, so that no person is identified."
        ),
    ] = _NOT_HIDDEN,
    tz: _Zone = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Counts visits by time, age band and gender. Days are days of UTC."""
    from agegender.commands.query import answers

    form = answers.Form.of(as_json=as_json, as_csv=as_csv, tz=tz)
    asked = answers.Filter.of(form, camera, since, until, age_band, gender)
    answers.counts(form, asked, by, least)


@app.command()
def watch(
    camera: _Cameras = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after this many seconds; without it, run on.")
    ] = None,
    tz: _Zone = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Prints each visit when it ends, until it is stopped."""
    from agegender.commands.query import answers

    answers.watch(answers.Form.of(as_json=as_json, as_csv=as_csv, tz=tz), camera, seconds)


@app.command()
def faces(
    camera: Annotated[str, typer.Argument(help="The camera.")],
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 20,
    tz: _Zone = None,
    as_json: _Json = False,
) -> None:
    """Lists the faces that were classified last, the newest last."""
    from agegender.commands.query import answers

    if not answers.faces(answers.Form.of(as_json=as_json, tz=tz), camera, limit):
        raise typer.Exit(1)
