"""Three real brokers, each killed in turn: cameras stay open, so no person before them is counted twice."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.process.settings import KafkaSettings
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.camera_site import CameraSite, short_clip
from tests.support.kafka_cluster import KafkaCluster
from tests.support.kafka_frames import until_done
from tests.support.services import Service
from tests.support.waiting import wait_until

FENCED_AFTER_S = 3.0
"""Brokers of this test are fenced sooner than after Kafka's 9 s, to save time."""
SESSION_S = KafkaSettings().session_timeout_s - (9.0 - FENCED_AFTER_S)
"""The default session, shorter by the time that is saved."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    try:
        made = KafkaCluster(FENCED_AFTER_S)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    with made:
        yield made


@pytest.fixture
def site(cluster: KafkaCluster, random_suffix: str, tmp_path: Path) -> Iterator[CameraSite]:
    settings = KafkaSettings(
        bootstrap_servers=cluster.bootstrap_servers,
        topic_prefix=f"{random_suffix}-",
        session_timeout_s=SESSION_S,
        replication=3,
        camera_partitions=8,
    )
    one = CameraSite(settings, short_clip(tmp_path), tmp_path)
    until_done(one.table.open)
    yield one
    one.close()
    # The client leaves sockets to the garbage collector; it comes while their warnings are ignored.
    gc.collect()


def wait_until_published(workers: list[Service]) -> None:
    """Waits until each worker has published more frames."""
    name = "agegender_messages_sent_total"
    before = [one.metric(name) for one in workers]

    def published() -> bool:
        return all(one.metric(name) > number + 10 for one, number in zip(workers, before, strict=True))

    wait_until(published, 30, "frames are published again")


def test_cameras_stay_open_while_each_broker_dies_in_turn(cluster: KafkaCluster, site: CameraSite) -> None:
    names = ("door", "hall", "yard", "gate")
    until_done(lambda: site.add(*names))
    workers = [site.start_worker(), site.start_worker()]
    for worker in workers:
        worker.wait_until_ready()
    site.wait_until_held(2, 2)
    site.wait_until_pulled(*names)
    admitted = site.admitted(*names)
    left = {0, 1, 2}
    while left:
        leader = cluster.group_coordinator()
        victim = leader if leader in left else min(left)
        left.remove(victim)
        cluster.kill(victim)
        cluster.wait_for_election(victim)
        wait_until_published(workers)
        assert site.admitted(*names) == admitted
        if left:
            cluster.restart(victim)
    assert site.most(*names) == [1] * len(names)
    assert {name: len(streams) for name, streams in site.streams().items()} == dict.fromkeys(names, 1)
