"""What `agegender topics` does: asks Kafka, creates topics, prints."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from agegender.commands.kafka_client import importing_kafka
from agegender.commands.process import start_process
from agegender.commands.topics.comparing import State, TopicComparison, compare
from agegender.commands.topics.forms import is_camera_table
from agegender.commands.topics.meanings import WHEN_PARTITIONS_ARE_ADDED
from agegender.commands.topics.view import difference_lines, topic_record, topics_table
from agegender.shared.errors import NotNow
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.topic_admin import KafkaTopics


def settings(partitions: int | None, camera_partitions: int | None, replication: int | None) -> KafkaSettings:
    """Starts the process, and returns the settings of Kafka with those that an option overrides."""
    start_process()
    given = {"partitions": partitions, "camera_partitions": camera_partitions, "replication": replication}
    return KafkaSettings.load().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def apply(kafka: KafkaSettings, *, raise_partitions: bool, dry_run: bool, as_json: bool) -> bool:
    """Creates missing topics and prints all; returns whether all are now as expected.

    Raises:
        NotNow: no broker answers, or it does not reveal its settings.
    """
    with _topics(kafka) as topics:
        found = compare(topics, kafka, raising=raise_partitions)
        to_raise = [one for one in found if raise_partitions and _may_raise(one, kafka)]
        if to_raise:
            _say(WHEN_PARTITIONS_ARE_ADDED)
        done = list(_applied(topics, found, to_raise, dry_run=dry_run))
    _print(done, kafka, as_json=as_json)
    if dry_run:
        _say("Nothing was written (--dry-run).")
    return _all_as_expected(done)


def check(kafka: KafkaSettings, *, as_json: bool) -> bool:
    """Prints all topics; returns whether all are as expected. Raises as `apply`."""
    with _topics(kafka) as topics:
        found = compare(topics, kafka)
    _print(found, kafka, as_json=as_json)
    return _all_as_expected(found)


def _topics(kafka: KafkaSettings) -> contextlib.AbstractContextManager[KafkaTopics]:
    with importing_kafka("the topics"):
        from agegender.shared.kafka.topic_admin import open_topics
    return open_topics(kafka)


def _may_raise(one: TopicComparison, kafka: KafkaSettings) -> bool:
    return one.lacks_partitions and not is_camera_table(one.form, kafka)


def _applied(
    topics: KafkaTopics,
    found: Sequence[TopicComparison],
    to_raise: Sequence[TopicComparison],
    *,
    dry_run: bool,
) -> Iterator[TopicComparison]:
    for one in found:
        if one.state is State.MISSING:
            topics.create(one.form, only_ask=dry_run)
            yield one.created(only_asked=dry_run)
        elif one in to_raise:
            topics.add_partitions(one.form.name, one.form.partitions, only_ask=dry_run)
            yield one.raised(only_asked=dry_run)
        else:
            yield one


def _print(found: Sequence[TopicComparison], kafka: KafkaSettings, *, as_json: bool) -> None:
    if as_json:
        for one in found:
            typer.echo(json.dumps(topic_record(one, kafka)))
        return
    Console().print(topics_table(found))
    for line in difference_lines(found, kafka):
        typer.echo(line)


def _all_as_expected(found: Sequence[TopicComparison]) -> bool:
    states = {one.state for one in found}
    if State.NOT_TOLD in states:
        raise NotNow("the broker does not reveal the settings of its topics: allow DescribeConfigs on them")
    return not states & {State.MISSING, State.DIFFERS}


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)
