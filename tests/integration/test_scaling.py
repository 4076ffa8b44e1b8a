"""Workers of one service share a topic while some come, die and go: nothing is lost, nothing doubled.

How much work they do is for `make bench-scaling` to say; here is its reconciliation, and what it rejects.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.reader import StoredMessage
from agegender.shared.kafka.topics import FACES, RESULTS
from agegender.shared.messages.pipeline import Face
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store.embedded import EmbeddedStore
from benchmarks.throughput.scaling import Run, complaints, options
from tests.support.made_messages import face, face_info, result
from tests.support.scaling import (
    KINDS,
    Crew,
    Fate,
    Kind,
    fate,
    given,
    made_faces,
    send,
    sent_by,
    wait_until_done,
    write,
)
from tools.pictures.scale_tables import DOCUMENT

MESSAGES = 640
DEVICE_MS: dict[Kind, float] = {"classify": 300.0, "detect": 30.0}


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_share_work_and_changes_lose_nothing(
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


def sent_face(track_id: str | None = None, *, index: int = 0, detected_at_s: float = 5.0) -> StoredMessage:
    info = face_info(index=index, faces_in_frame=2)
    told = info.model_copy(update={"track_id": track_id, "detected_at_s": detected_at_s})
    return StoredMessage("faces", 0, 0, 0.0, FACES.codec.encode(face(told)))


def sent_result(age_years: float = 34.0, classified_at_s: float = 6.0) -> StoredMessage:
    classified = result(age_years=age_years).model_copy(update={"classified_at_s": classified_at_s})
    return StoredMessage("results", 0, 0, 0.0, RESULTS.codec.encode(classified))


def test_what_is_said_once_more_is_a_repeat_and_no_double() -> None:
    faces = [sent_face("s1-1"), sent_face("s1-1", detected_at_s=7.0)]
    assert fate("detect", 1, faces, None) == Fate(sent=1, lost=0, repeated=1, doubled=0)
    results = [sent_result(), sent_result(classified_at_s=8.0), sent_result()]
    assert fate("classify", 1, results, None) == Fate(sent=1, lost=0, repeated=2, doubled=0)


@pytest.mark.parametrize(
    "other", [sent_face("s1-2"), sent_face(), sent_face("s1-1", index=1)], ids=["visit", "nobody", "place"]
)
def test_a_face_that_is_told_of_in_two_ways_is_a_double(other: StoredMessage) -> None:
    records = [sent_face("s1-1"), other, sent_face("s1-1")]
    assert fate("detect", 1, records, None) == Fate(sent=1, lost=0, repeated=1, doubled=1)


def test_a_face_that_is_judged_in_two_ways_is_a_double() -> None:
    records = [sent_result(34.0), sent_result(35.0)]
    assert fate("classify", 2, records, None) == Fate(sent=2, lost=1, repeated=0, doubled=1)


def test_a_double_that_is_planted_in_the_topic_is_found(kafka: str, random_suffix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=2)
    faces = [made for made in made_faces(2, 3) if isinstance(made, Face)]
    double = faces[0].model_copy(update={"chip_jpeg": b"another"})
    write(KafkaOutput(FACES, settings), [*faces, faces[1], double])
    assert fate("detect", 3, given("detect", settings), None) == Fate(3, 0, repeated=1, doubled=1)


def ran(service: Kind, workers: int, a_second: float, became: Fate | None = None) -> Run:
    return Run(service, workers, a_second, 1.0, became or Fate(100, 0, 3, 0))


def test_an_even_share_of_work_gives_no_complaint() -> None:
    runs = [ran("classify", 1, 10.0), ran("classify", 8, 76.5), ran("detect", 2, 4.0), ran("detect", 4, 8.0)]
    assert list(complaints(runs)) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (ran("classify", 8, 70.4), "0.880 of linear"),
        (ran("classify", 8, 80.0, Fate(100, 1, 0, 0)), "1 lost"),
        (ran("classify", 8, 80.0, Fate(100, 0, 0, 2)), "2 doubled"),
    ],
)
def test_lost_doubled_and_too_little_work_is_reported(bad: Run, said: str) -> None:
    (complaint,) = complaints([ran("detect", 1, 1.0), ran("classify", 1, 10.0), bad])
    assert complaint.startswith("classify, 8 workers")
    assert said in complaint


def test_the_document_names_the_options_of_the_command() -> None:
    usual = options().parse_args([])
    said = (
        f"These are the default options: {usual.partitions} partitions, {usual.seconds:g} s for each number "
        f"of workers, and a device that takes {usual.batch:g} s for a batch"
    )
    assert said in " ".join(DOCUMENT.read_text().split())
