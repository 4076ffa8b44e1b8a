"""`agegender topics …`: the options."""

from __future__ import annotations

from typing import Annotated

import typer

EXIT_DIFFERS = 1

app = typer.Typer(
    help="Compares the topics in Kafka with what the services expect, and creates missing ones.",
    no_args_is_help=True,
    add_completion=False,
)

_Partitions = Annotated[
    int | None,
    typer.Option(
        help="Partitions of each topic but that of the cameras; default: KAFKA_PARTITIONS.", min=1, max=1_000
    ),
]
_CameraPartitions = Annotated[
    int | None,
    typer.Option(
        help="Partitions of the topic of the cameras; default: KAFKA_CAMERA_PARTITIONS.", min=1, max=1_000
    ),
]
_Replication = Annotated[
    int | None, typer.Option(help="Copies of each partition; default: KAFKA_REPLICATION.", min=1, max=9)
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def apply(
    partitions: _Partitions = None,
    camera_partitions: _CameraPartitions = None,
    replication: _Replication = None,
    raise_partitions: Annotated[
        bool, typer.Option("--raise-partitions", help="Add partitions to topics that have fewer.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only show what would be done; the broker checks whether it could be."
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Creates missing topics, and reports existing topics that differ, without changing them.

    Services create missing topics themselves, with the same settings. Exit status: 0 all topics are as
    expected, 1 a topic still differs, 2 Kafka could not be asked or refused.
    """
    from agegender.commands.topics import actions

    kafka = actions.settings(partitions, camera_partitions, replication)
    if not actions.apply(kafka, raise_partitions=raise_partitions, dry_run=dry_run, as_json=as_json):
        raise typer.Exit(EXIT_DIFFERS)


@app.command()
def check(
    partitions: _Partitions = None,
    camera_partitions: _CameraPartitions = None,
    replication: _Replication = None,
    as_json: _Json = False,
) -> None:
    """Compares the topics with what the services expect, and changes nothing.

    Exit status: 0 all topics are as expected, 1 a topic differs or is missing, 2 Kafka could not be asked.
    """
    from agegender.commands.topics import actions

    kafka = actions.settings(partitions, camera_partitions, replication)
    if not actions.check(kafka, as_json=as_json):
        raise typer.Exit(EXIT_DIFFERS)
