"""`agegender dead-letters` on a real broker: what is listed, and what a replay sends and does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from agegender.cli import app
from agegender.commands.dead_letters.letters import REPLAY_OF_HEADER, REPLAYED_HEADER
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaRawOutput
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.codec import FRAME_CODEC, Encoded
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import DeadLetter
from agegender.shared.runtime.runner import Runner
from agegender.shared.runtime.stage import Bad, Done, Outcome
from tests.support.made_messages import JPEG, frame
from tests.support.pipeline import read_topic
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, random_suffix: str, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", f"{random_suffix}-")
    monkeypatch.setenv("KAFKA_PARTITIONS", "3")
    monkeypatch.setenv("KAFKA_SESSION_TIMEOUT_S", "6")
    return KafkaSettings.load()


def command(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["dead-letters", *arguments])


def records(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command(*arguments, "--json").stdout.splitlines()]


def topic(settings: KafkaSettings, name: str) -> list[Encoded]:
    return read_topic(settings.bootstrap_servers, settings.topic_prefix + name)


def put_frames(settings: KafkaSettings, *messages: Encoded) -> list[str]:
    """Writes to `frames`; returns where the messages lie, in their order."""
    output = KafkaRawOutput(FRAMES.name, FRAMES.retention_s, settings)
    output.write(messages)
    output.close()
    name = settings.topic_prefix + FRAMES.name
    with KafkaReader(settings) as reader:
        places = {r.encoded.value: r.origin for r in reader.read(name, {}, reader.ends(name))}
    return [places[one.value] for one in messages]


def encoded(camera: str, value: bytes = JPEG) -> Encoded:
    return FRAME_CODEC.encode(frame(camera, jpeg=value))


def put_letters(settings: KafkaSettings, *letters: DeadLetter) -> None:
    output = KafkaDeadLetters(settings)
    output.write(letters)
    output.close()


@pytest.fixture
def three_letters(settings: KafkaSettings) -> list[str]:
    """Two frames with broken pictures and a malformed result; returns their origins."""
    one, two = encoded("door", b"broken 1"), encoded("hall", b"broken 22")
    origins = [*put_frames(settings, one, two), f"{settings.topic_prefix}results/2@123456"]
    not_ours = Encoded(b"door", b"?", (("trace", b"1"),))
    put_letters(settings, DeadLetter("the picture cannot be read", "detect", origins[0], one))
    put_letters(settings, DeadLetter("the picture cannot be read", "detect", origins[1], two))
    put_letters(settings, DeadLetter("no 'schema' header", "sink", origins[2], not_ours))
    return origins


def test_letters_are_listed_with_reason_origin_and_camera(three_letters: list[str]) -> None:
    found = records("list")
    assert [one["origin"] for one in found] == three_letters
    assert [one["camera"] for one in found] == ["door", "hall", "door"]
    assert [one["service"] for one in found] == ["detect", "detect", "sink"]
    assert [one["value_bytes"] for one in found] == [8, 9, 1]
    assert [one["origin"] for one in records("list", "--limit", "1")] == three_letters[2:]
    table = command("list").stdout
    assert "no 'schema' header" in table
    assert "broken" not in table, "what a message holds is never shown"


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (("--service", "sink"), [2]),
        (("--reason", "CANNOT be read"), [0, 1]),
        (("--topic", "results"), [2]),
        (("--camera", "door"), [0, 2]),
        (("--camera", "door", "--topic", "frames"), [0]),
        (("--since", "1h"), [0, 1, 2]),
        (("--since", "2100-01-01"), []),
    ],
)
def test_filters_choose_letters(three_letters: list[str], options: Sequence[str], places: list[int]) -> None:
    assert [one["origin"] for one in records("list", *options)] == [three_letters[n] for n in places]


@pytest.mark.usefixtures("three_letters")
def test_a_summary_counts_by_service_and_reason() -> None:
    assert records("list", "--summary") == [
        {"service": "detect", "reason": "the picture cannot be read", "letters": 2, "replayed": 0},
        {"service": "sink", "reason": "no 'schema' header", "letters": 1, "replayed": 0},
    ]


@pytest.mark.usefixtures("settings")
def test_without_any_letter_the_list_is_empty() -> None:
    done = command("list", "--json")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "No dead letters" in done.stderr


@pytest.mark.usefixtures("settings")
def test_a_time_that_is_none_is_refused() -> None:
    assert "--since" in str(command("list", "--since", "soon").exception)


@pytest.mark.usefixtures("three_letters")
def test_a_replay_asks_first_and_a_dry_run_sends_nothing(settings: KafkaSettings) -> None:
    refused = command("replay")
    assert refused.exit_code != 0
    assert "--yes" in str(refused.exception)
    assert [one["fate"] for one in records("replay", "--dry-run")] == [
        "ready",
        "ready",
        "the message is gone",
    ]
    assert len(topic(settings, "frames")) == 2
    assert not any(one["replayed"] for one in records("list"))


@pytest.mark.usefixtures("three_letters")
def test_a_message_without_its_picture_is_read_from_its_topic(
    settings: KafkaSettings,
) -> None:
    assert [one["fate"] for one in records("replay", "--camera", "hall", "--yes")] == ["sent"]
    sent = [one for one in topic(settings, "frames") if REPLAY_OF_HEADER in dict(one.headers)]
    assert [(one.key, one.value) for one in sent] == [(b"hall", b"broken 22")]
    assert FRAME_CODEC.decode(sent[0]).camera_id == "hall"

    again = command("replay", "--camera", "hall", "--yes")
    assert "No dead letters to replay" in again.stderr
    assert len(topic(settings, "frames")) == 3, "a second replay sends nothing"
    assert [one["replayed"] for one in records("list")] == [False, True, False]
    notes = [one for one in topic(settings, "dead-letters") if REPLAYED_HEADER in dict(one.headers)]
    assert [one.value for one in notes] == [b""]


def test_a_letter_with_its_message_does_not_need_its_topic(settings: KafkaSettings) -> None:
    keeping = settings.model_copy(update={"dead_letter_pictures": True})
    kept = encoded("door", b"a picture, kept")
    put_letters(keeping, DeadLetter("too dark", "detect", f"{settings.topic_prefix}frames/1@999999", kept))
    assert [one["fate"] for one in records("replay", "--yes")] == ["sent"]
    (sent,) = topic(settings, "frames")
    assert (sent.key, sent.value, sent.headers[:2]) == (kept.key, kept.value, kept.headers)


def test_another_message_at_the_same_offset_is_not_sent(settings: KafkaSettings) -> None:
    (origin,) = put_frames(settings, encoded("hall", b"of a topic that was made anew"))
    put_letters(settings, DeadLetter("too dark", "detect", origin, encoded("door", b"gone")))
    done = command("replay", "--yes", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["fate"] == "the message is gone"


def test_what_came_from_no_topic_of_ours_is_not_replayed(settings: KafkaSettings) -> None:
    put_letters(settings, DeadLetter("too dark", "ingest", "door/s1@7", encoded("door")))
    put_letters(settings, DeadLetter("odd", "other", "invoices/0@0", encoded("door")))
    assert {one["fate"] for one in records("replay", "--yes")} == {"from an unknown topic"}


@pytest.mark.parametrize("command", [["dead-letters", "list"], ["audit"]])
def test_without_kafka_the_command_says_so_in_one_line(command: list[str]) -> None:
    nowhere = f"127.0.0.1:{free_loopback_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "agegender", *command],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": nowhere},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"agegender: Kafka: no answer from {nowhere}"


class Picky:
    """A stage that finds every frame bad until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
        return [Done((one,)) if self.mended else Bad("cannot read this yet") for one in batch]


class Kept:
    """An output that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def open(self) -> None: ...

    def write(self, messages: Sequence[Frame]) -> None:
        self.frames += messages

    def close(self) -> None: ...


@pytest.fixture
def worker(settings: KafkaSettings) -> Iterator[tuple[Picky, Kept]]:
    """A service that reads `frames` with a stage to be mended."""
    stage, output, stop = Picky(), Kept(), threading.Event()
    metrics = Metrics(CollectorRegistry())
    runner = Runner(
        "picky",
        KafkaSource(FRAMES, "picky", settings),
        stage,
        output,
        KafkaDeadLetters(settings),
        metrics=metrics,
        health=Health("picky", metrics),
    )
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    yield stage, output
    stop.set()
    thread.join()


def test_a_replayed_message_passes_the_repaired_service(
    settings: KafkaSettings, worker: tuple[Picky, Kept]
) -> None:
    stage, output = worker
    put_frames(settings, encoded("door"))
    wait_until(lambda: topic(settings, "dead-letters"), 30, "the frame is a dead letter")
    stage.mended = True
    assert [one["fate"] for one in records("replay", "--yes")] == ["sent"]
    wait_until(lambda: output.frames, 30, "the frame goes through")
    assert records("replay", "--yes") == []
    assert [one.camera_id for one in output.frames] == ["door"]
    assert output.frames[0].jpeg == JPEG
