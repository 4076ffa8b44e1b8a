"""The `agegender` command. A command's package is imported when the command is called, not before."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from agegender.commands.packages import end_for_missing
from agegender.shared.errors import EXIT_BAD_SETTINGS, AgeGenderError

COMMANDS = {
    "analyze": "Finds the faces in pictures, videos and cameras, and estimates their age and gender.",
    "cameras": "Lists and changes the cameras in Kafka, and finds out what is wrong with one.",
    "topics": "Compares the topics in Kafka with what the services expect, and creates missing ones.",
    "query": "Asks the store for visits, counts, cameras and faces.",
    "audit": "Adds up what was captured, dropped, found, classified and stored, and reports what is missing.",
    "plan": "Computes what a number of cameras needs: workers, partitions, Kafka, Redis.",
    "dead-letters": "Lists messages that could not be processed, and replays them.",
    "run": "Runs the whole pipeline in this process, for one or many cameras.",
    "demo": "Runs the pipeline on a simulated RTSP camera that shows real faces.",
    "evaluate": "Measures age error, intervals and genders on labelled faces.",
}
"""Command → what the list of commands says about it. Its options are in `commands/NAME/command.py`."""


class CommandsOnDemand(TyperGroup):
    """Knows each command by name and short help, and imports the one that is called."""

    # Typer keeps the types of these parameters to itself.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002
        """All names, in the order of the help."""
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ANN401, ARG002
        """Name and short help of a command, for the list of commands; None for an unknown name."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """The called command, imported, with its name and the rest of the arguments."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and load_command(args[0]), rest


def load_command(name: str) -> Any:  # noqa: ANN401
    """Imports a command and returns it with all its options."""
    module = importlib.import_module(f"agegender.commands.{name.replace('-', '_')}.command")
    return typer.main.get_command(module.app)


app = typer.Typer(
    cls=CommandsOnDemand, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)


@app.callback()
def agegender() -> None:
    """Age and gender of the people before your cameras, in photos and in videos."""


def main() -> None:
    """The entry point: an error of ours becomes one line and exit status 2."""
    try:
        app()
    except ModuleNotFoundError as error:
        end_for_missing(error)
        raise
    except AgeGenderError as error:
        typer.echo(f"agegender: {error}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
