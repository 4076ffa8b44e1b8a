"""The Kafka of a run: one broker, or three of which one after the other is taken away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle

from benchmarks.chaos.faults import Victim
from tests.support.kafka_broker import KafkaBroker, launch_broker
from tests.support.kafka_cluster import KafkaCluster

_FENCED_AFTER_S = 3.0  # shorter than the session of a worker, so that the groups outlive a broker


@dataclass(frozen=True)
class Kafka:
    """What a run needs of its brokers."""

    victim: Victim
    bootstrap_servers: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of all services."""

    @classmethod
    def of(cls, broker: KafkaBroker) -> Kafka:
        """A single broker. While it is away, all wait."""
        return cls(broker, broker.bootstrap_servers)


class _EachInTurn:
    """Takes one broker of a cluster away, each time the next one."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._cluster = cluster
        self._turns = cycle(range(3))
        self._away = 0

    def kill(self) -> None:
        self._away = next(self._turns)
        self._cluster.kill(self._away)

    def start(self) -> None:
        self._cluster.restart(self._away)

    def freeze(self) -> None:
        self._away = next(self._turns)
        self._cluster.freeze(self._away)

    def thaw(self) -> None:
        self._cluster.thaw(self._away)


@contextlib.contextmanager
def one_broker() -> Iterator[Kafka]:
    """See `Kafka.of`."""
    broker = launch_broker(must_restart=True)
    try:
        yield Kafka.of(broker)
    finally:
        broker.close()


@contextlib.contextmanager
def three_brokers() -> Iterator[Kafka]:
    """Three brokers with three copies of all. One may be away at a time."""
    with KafkaCluster(_FENCED_AFTER_S) as cluster:
        yield Kafka(_EachInTurn(cluster), cluster.bootstrap_servers, {"KAFKA_REPLICATION": "3"})
