"""The four services of one test, and a look into the topics and the store between and behind them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import redis
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import CoordinatorNotAvailableError

from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.codec import Encoded
from agegender.shared.messages.pipeline import Frame, Result
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect
from tests.support.services import Service

SERVICES = ("ingest", "detect", "classify", "sink")


def read_topic(bootstrap_servers: str, name: str) -> list[Encoded]:
    """Everything that a topic holds now, read without a group, in order per key."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=3_000_000,
    )
    try:
        partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
        if not partitions:
            return []
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Encoded] = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                found += [Encoded(r.key or b"", r.value or b"", tuple(r.headers)) for r in records]
        return found
    finally:
        consumer.close(autocommit=False, timeout_ms=2_000)


class Distributed:
    """Four processes that share a broker and a store, under topic names of their own.

    `twice`: services of which there are two workers, the second one called `NAME-2`.
    """

    def __init__(
        self,
        kafka: str,
        redis_url: str,
        prefix: str,
        cameras: Path | None,
        folder: Path,
        *,
        home: Path | None = None,
        twice: Collection[str] = (),
        **more_settings: str,
    ) -> None:
        """`cameras`: a file; None: the topic `cameras`. `folder` and `home`: see `Service`."""
        self.kafka = kafka
        self.prefix = prefix
        self.redis_url = redis_url
        settings: Mapping[str, str] = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "KAFKA_PARTITIONS": "4",
            "REDIS_URL": redis_url,
            "REDIS_TIMEOUT_S": "2",
            **({} if cameras is None else {"INGEST_CAMERAS_PATH": str(cameras)}),
            # What is published is looked at, however long it takes on a machine that is busy.
            "DETECT_STALE_S": "3600",
            "SINK_RESULTS_PER_CAMERA": "100000",
            **more_settings,
        }
        # Each is told only what concerns it.
        concerns = {name: ("AGEGENDER_", "KAFKA_", "REDIS_", f"{name.upper()}_") for name in SERVICES}
        self.services = {
            worker: Service(
                name,
                {k: v for k, v in settings.items() if k.startswith(prefixes)},
                folder,
                home=home,
                worker=worker,
            )
            for name, prefixes in concerns.items()
            for worker in (name, *([f"{name}-2"] if name in twice else []))
        }

    @contextlib.contextmanager
    def running(self, *, wait: bool = True) -> Iterator[Distributed]:
        """All of them, started together and ended at the end of the block."""
        try:
            for service in self.services.values():
                service.start()
            if wait:
                for service in self.services.values():
                    service.wait_until_ready()
            yield self
        finally:
            for service in self.services.values():
                service.close()

    def records(self, topic: str) -> list[Encoded]:
        """Everything that a topic of ours holds now."""
        return read_topic(self.kafka, self.prefix + topic)

    def committed(self, group: str) -> int:
        """How many messages a group of ours has done, over all partitions."""
        with KafkaAdminClient(bootstrap_servers=self.kafka) as client:
            try:
                offsets = client.list_group_offsets({self.prefix + group: None})[self.prefix + group]
            except CoordinatorNotAvailableError:  # a broker that has just started has none yet
                return 0
        return sum(max(0, one.offset) for one in offsets.values())

    def frames(self) -> list[Frame]:
        """All frames that were published."""
        return [FRAMES.codec.decode(one) for one in self.records(FRAMES.name)]

    def results(self, camera: str) -> list[Result]:
        """All results of a camera that are in the store."""
        with connect(RedisSettings().at(self.redis_url)) as client:
            return [one.result for one in ResultStore(client).results(camera, limit=1_000_000)]

    def results_written(self, camera: str) -> int:
        """How many results of a camera the store holds."""
        with redis.Redis.from_url(self.redis_url) as client:
            return int(client.xlen(f"agegender:{{{camera}}}:results"))
