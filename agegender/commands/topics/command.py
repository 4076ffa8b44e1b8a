"""`agegender topics …`: reads the command line, asks Kafka, prints."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from agegender.commands.kafka_client import importing_kafka
from agegender.commands.run.session import start_process
from agegender.commands.topics.comparing import Finding, State, compare
from agegender.commands.topics.forms import is_camera_table
from agegender.commands.topics.meanings import WHEN_PARTITIONS_ARE_ADDED
from agegender.commands.topics.view import difference_lines, topic_record, topics_table
from agegender.shared.errors import NotNow
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.topic_admin import KafkaTopics

EXIT_DIFFERS = 1

topics_app = typer.Typer(
    help="The topics in Kafka: makes those that are missing, and says what is wrong with others.",
    no_args_is_help=True,
    add_completion=False,
)

_Partitions = Annotated[
    int | None,
    typer.Option(help="Of each topic but that of the cameras; else KAFKA_PARTITIONS.", min=1, max=1_000),
]
_CameraPartitions = Annotated[
    int | None,
    typer.Option(help="Of the topic of the cameras; else KAFKA_CAMERA_PARTITIONS.", min=1, max=1_000),
]
_Replication = Annotated[
    int | None, typer.Option(help="Copies of each partition; else KAFKA_REPLICATION.", min=1, max=9)
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@topics_app.command()
def apply(
    partitions: _Partitions = None,
    camera_partitions: _CameraPartitions = None,
    replication: _Replication = None,
    raise_partitions: Annotated[
        bool, typer.Option("--raise-partitions", help="Add partitions to topics that have fewer.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what would be done; the broker says whether it would."),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Makes the topics that are missing; what is there and differs is told and left as it is.

    Services make missing topics by themselves, in the same form. Exit status: 0 all topics are as they should
    be, 1 one still differs, 2 Kafka could not be asked or refused.
    """
    kafka = _settings(partitions, camera_partitions, replication)
    with _topics(kafka) as topics:
        found = compare(topics, kafka, raising=raise_partitions)
        wanted = [one for one in found if raise_partitions and _may_raise(one, kafka)]
        if wanted:
            _say(WHEN_PARTITIONS_ARE_ADDED)
        done = list(_applied(topics, found, wanted, dry_run=dry_run))
    _print(done, kafka, as_json=as_json)
    if dry_run:
        _say("Nothing was written, as --dry-run says.")
    _leave(done)


@topics_app.command()
def check(
    partitions: _Partitions = None,
    camera_partitions: _CameraPartitions = None,
    replication: _Replication = None,
    as_json: _Json = False,
) -> None:
    """Compares the topics with what the system expects; changes nothing.

    Exit status: 0 all are as they should be, 1 one differs or is missing, 2 Kafka could not be asked.
    """
    kafka = _settings(partitions, camera_partitions, replication)
    with _topics(kafka) as topics:
        found = compare(topics, kafka)
    _print(found, kafka, as_json=as_json)
    _leave(found)


def _settings(
    partitions: int | None, camera_partitions: int | None, replication: int | None
) -> KafkaSettings:
    start_process()
    given = {"partitions": partitions, "camera_partitions": camera_partitions, "replication": replication}
    return KafkaSettings.load().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def _topics(kafka: KafkaSettings) -> contextlib.AbstractContextManager[KafkaTopics]:
    with importing_kafka("the topics"):
        from agegender.shared.kafka.topic_admin import open_topics
    return open_topics(kafka)


def _may_raise(one: Finding, kafka: KafkaSettings) -> bool:
    return one.lacks_partitions and not is_camera_table(one.form, kafka)


def _applied(
    topics: KafkaTopics, found: Sequence[Finding], to_raise: Sequence[Finding], *, dry_run: bool
) -> Iterator[Finding]:
    for one in found:
        if one.state is State.MISSING:
            topics.create(one.form, only_ask=dry_run)
            yield one.created(only_asked=dry_run)
        elif one in to_raise:
            topics.add_partitions(one.form.name, one.form.partitions, only_ask=dry_run)
            yield one.raised(only_asked=dry_run)
        else:
            yield one


def _print(findings: Sequence[Finding], kafka: KafkaSettings, *, as_json: bool) -> None:
    if as_json:
        for one in findings:
            typer.echo(json.dumps(topic_record(one, kafka)))
        return
    Console().print(topics_table(findings))
    for line in difference_lines(findings, kafka):
        typer.echo(line)


def _leave(findings: Sequence[Finding]) -> None:
    states = {one.state for one in findings}
    if State.NOT_TOLD in states:
        raise NotNow("the broker does not tell the settings of its topics: allow DescribeConfigs on them")
    if states & {State.MISSING, State.DIFFERS}:
        raise typer.Exit(EXIT_DIFFERS)


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)
