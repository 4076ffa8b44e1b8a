"""`docs/privacy.md` says what is so: times, settings, and commands, which delete what they name."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
import redis

from agegender.services.api.config import ApiSettings
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.config import SinkSettings
from agegender.shared.kafka.topics import (
    DEAD_LETTERS_NAME,
    DEAD_LETTERS_RETENTION_S,
    FACES,
    FRAMES,
    NOTICES,
    PREVIEWS,
    RESULTS,
)
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store.counts import PERIODS
from tests.support.made_messages import frame_info, preview, track_summary, track_update, vote
from tests.support.redis_cli import redis_cli_environment
from tests.support.sink import opened_sink

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
_UNITS_S = {"minutes": 60, "hours": 3_600, "days": 86_400}


def commands() -> list[str]:
    (block,) = re.findall(r"^```sh\n(.*?)^```", _DOCUMENT, re.DOTALL | re.MULTILINE)
    return str(block).splitlines()


def kept_s(row: str) -> list[int]:
    """The lengths of time in the row of the table that begins so, as they stand there."""
    (line,) = re.findall(rf"^\| {re.escape(row)}.*$", _DOCUMENT, re.MULTILINE)
    return [int(number) * _UNITS_S[unit] for number, unit in re.findall(r"(\d+) (minutes|hours|days)", line)]


@pytest.fixture
def shell(redis_database: str, tmp_path: Path) -> dict[str, str]:
    """An environment in which `redis-cli` asks a store that holds two cameras, and fails where that does."""
    with opened_sink(redis_database) as sink:
        for camera in ("entrance", "hall"):
            now_s = time.time()
            seen = track_summary("s1-1", first_seen_s=now_s, ended=True)
            frame = frame_info(camera, captured_at_s=now_s)
            there = track_update(seen, frame=frame)
            sink.output.write([vote(camera_id=camera, captured_at_s=now_s), there, preview(frame)])
    return redis_cli_environment(redis_database, tmp_path)


def test_the_commands_delete_a_camera_then_its_counts(shell: dict[str, str], redis_database: str) -> None:
    def run(*some: str) -> set[str]:
        for command in some:
            done = subprocess.run(
                ["sh", "-c", command], env=shell, capture_output=True, text=True, timeout=20, check=False
            )
            assert (done.returncode, done.stderr) == (0, ""), command
        with redis.Redis.from_url(redis_database, decode_responses=True) as client:
            assert client.zscore("agegender:cameras", "hall") is not None
            return {str(key) for key in client.scan_iter("*entrance*")}

    but_counts, everything, name, rewrite = commands()
    before = run()
    assert len([key for key in before if ":counts:" not in key]) >= 6
    assert run(but_counts) == {key for key in before if ":counts:" in key} != set()
    assert run(everything, name, rewrite) == set()
    with redis.Redis.from_url(redis_database, decode_responses=True) as client:
        assert client.zrange("agegender:cameras", 0, -1) == ["hall"]
        assert len([*client.scan_iter("agegender:{hall}:*")]) == len(before)


def test_the_times_are_those_of_the_product() -> None:
    topics = {one.name: one.retention_s for one in (FRAMES, NOTICES, PREVIEWS, RESULTS)}
    for name, retention_s in {**topics, DEAD_LETTERS_NAME: DEAD_LETTERS_RETENTION_S}.items():
        assert kept_s(f"Kafka, topic `{name}`")[0] == retention_s
    assert FACES.retention_s == FRAMES.retention_s, "which the table says with 'the same'"
    assert kept_s("Redis or the embedded store, visits") == [SinkSettings().ttl_s]
    assert kept_s("the same, single faces") == [SinkSettings().ttl_s]
    assert f"the newest {SinkSettings().results_per_camera} classified faces" in _DOCUMENT
    assert kept_s("the same, counts") == [PERIODS[by].kept_s for by in ("minute", "hour", "day")]


def test_what_it_says_of_the_settings_is_so() -> None:
    assert DetectSettings().preview == "off"
    assert KafkaSettings().dead_letter_pictures is False
    known = {
        name
        for settings in (ApiSettings, DetectSettings, IngestSettings, KafkaSettings, SinkSettings)
        for name in settings.variables()
    }
    assert set(re.findall(r"(?:API|DETECT|INGEST|KAFKA|SINK)_[A-Z_]+", _DOCUMENT)) <= known
