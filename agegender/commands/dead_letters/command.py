"""`agegender dead-letters …`: the options."""

from __future__ import annotations

from typing import Annotated

import typer

from agegender.shared.times import EXPECTED, EXPECTED_ZONE

app = typer.Typer(
    help="Lists messages that could not be processed, and replays them.",
    no_args_is_help=True,
    add_completion=False,
)

_Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
_Reason = Annotated[str | None, typer.Option(help="Only those with this text in their reason.")]
_Topic = Annotated[str | None, typer.Option(help="Only those of this topic: frames, faces or results.")]
_Camera = Annotated[str | None, typer.Option(help="Only those of this camera.")]
_Since = Annotated[str | None, typer.Option(help=f"Only those written since: {EXPECTED}.")]
_Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", metavar="NAME", help=f"The zone of all times: {EXPECTED_ZONE}. Default: local time."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_letters(
    service: _Service = None,
    reason: _Reason = None,
    topic: _Topic = None,
    camera: _Camera = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 20,
    summary: Annotated[bool, typer.Option("--summary", help="Count all of them by reason.")] = False,
    tz: _Zone = None,
    as_json: _Json = False,
) -> None:
    """Lists the newest dead letters, the newest last."""
    from agegender.commands.dead_letters import actions

    selection = actions.selected(service, reason, topic, camera, since, tz)
    actions.list_letters(selection, limit, summary=summary, tz=tz, as_json=as_json)


@app.command()
def replay(
    service: _Service = None,
    reason: _Reason = None,
    topic: _Topic = None,
    camera: _Camera = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    tz: _Zone = None,
    as_json: _Json = False,
) -> None:
    """Sends bad messages back to their topics, in the order of their letters, each at most once.

    If a letter does not carry its message, the message is read from its topic, as long as that keeps it.
    Exit status: 0 all were sent, 1 some could not be sent.
    """
    from agegender.commands.dead_letters import actions

    selection = actions.selected(service, reason, topic, camera, since, tz)
    if not actions.replay(selection, limit, dry_run=dry_run, confirmed=yes, tz=tz, as_json=as_json):
        raise typer.Exit(1)
