"""Workers of one service share a topic while some come, die and go: nothing is lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from shared.embedded_store import EmbeddedStore
from shared.settings import KafkaSettings
from tests.support.scaling import KINDS, Crew, Kind, fate, given, send, sent_by, wait_until_done

MESSAGES = 640
DEVICE_MS: dict[Kind, float] = {"classify": 300.0, "detect": 30.0}


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_share_the_work_and_a_death_and_a_newcomer_lose_and_double_nothing(
    kind: Kind, kafka: str, random_suffix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=8, session_timeout_s=6
    )
    send(kind, settings, MESSAGES)
    with Crew(kind, settings, DEVICE_MS[kind], tmp_path).running(2) as crew:
        crew.wait_until_all_work()
        assert all(sent_by(worker) > 0 for worker in crew.workers)
        crew.die()
        crew.join()
        wait_until_done(kind, settings, MESSAGES, 60)
    with EmbeddedStore(tmp_path / "store") as store:
        became = fate(kind, MESSAGES, given(kind, settings), store.url)
    assert (became.lost, became.doubled) == (0, 0)
