"""Ingest takes frames no faster than detect has told for the partition of their camera."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agegender.services.ingest.publish.told_pace import ToldPace
from agegender.shared.errors import NotNow
from agegender.shared.runtime.pace import noted_pace_hz, pace_note
from agegender.shared.runtime.transport import Note


class Detect:
    """What detect has noted by partition, and the time. Counts the questions."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked = 0
        self.notes: dict[int, Note] | None = {}

    def read(self) -> Mapping[int, Note]:
        self.asked += 1
        if self.notes is None:
            raise NotNow("Kafka: no answer")
        return dict(self.notes)


@pytest.fixture
def detect() -> Detect:
    return Detect()


@pytest.fixture
def pace(detect: Detect) -> ToldPace:
    pace = ToldPace(detect.read, monotonic=lambda: detect.now_s)
    pace.note_written(b"door", 0)
    pace.note_written(b"hall", 1)
    return pace


@pytest.mark.parametrize("rate_hz", [None, 0.4, 12.5])
def test_a_pace_passes_through_its_note(rate_hz: float | None) -> None:
    assert noted_pace_hz(pace_note(rate_hz)) == rate_hz


@pytest.mark.parametrize(
    "note", ["", "4", "pace_hz=", "pace_hz=x", "pace_hz=0", "pace_hz=-1", "pace_hz=inf", "pace_hz=nan"]
)
def test_any_other_note_tells_no_pace(note: str) -> None:
    assert noted_pace_hz(note) is None


def test_each_camera_has_the_interval_of_its_partition(detect: Detect, pace: ToldPace) -> None:
    detect.notes = {0: Note(10, pace_note(0.5)), 1: Note(10, pace_note(None))}
    pace.refresh()
    assert [pace.interval_s(camera) for camera in ("door", "hall", "new")] == [2.0, 0.0, 0.0]
    detect.notes = {0: Note(11, pace_note(None)), 1: Note(10, pace_note(4.0))}
    assert pace.interval_s("door") == 2.0
    detect.now_s += 1.0
    pace.refresh()
    assert [pace.interval_s(camera) for camera in ("door", "hall")] == [0.0, 0.25]


def test_detect_is_asked_once_a_second(detect: Detect, pace: ToldPace) -> None:
    for _ in range(30):
        pace.refresh()
        detect.now_s += 0.1
    assert detect.asked == 3


def test_a_kafka_without_an_answer_is_asked_seldom(detect: Detect, pace: ToldPace) -> None:
    """A question without an answer takes seconds, in which no frame is sent."""
    detect.notes = {0: Note(10, pace_note(0.5))}
    pace.refresh()
    detect.notes = None
    for _ in range(30):
        detect.now_s += 1.0
        pace.refresh()
    assert detect.asked == 4


@pytest.mark.parametrize(("rate_hz", "lasts_s"), [(2.0, 10.0), (0.1, 30.0)])
def test_the_pace_of_a_detect_that_went_away_is_forgotten(
    detect: Detect, pace: ToldPace, rate_hz: float, lasts_s: float
) -> None:
    detect.notes = {0: Note(10, pace_note(rate_hz))}
    pace.refresh()
    detect.now_s += lasts_s - 0.5
    pace.refresh()
    assert pace.interval_s("door") == pytest.approx(1 / rate_hz)
    detect.now_s += 1.0
    pace.refresh()
    assert pace.interval_s("door") == 0.0
    detect.notes = {0: Note(11, pace_note(rate_hz))}
    detect.now_s += 1.0
    pace.refresh()
    assert pace.interval_s("door") == pytest.approx(1 / rate_hz)


def test_overload_is_what_detect_tells_now(detect: Detect, pace: ToldPace) -> None:
    """A partition without frames keeps its last note for ever."""
    detect.notes = {7: Note(10, pace_note(0.5))}
    pace.refresh()
    assert pace.is_overloaded
    detect.now_s += 11.0
    pace.refresh()
    assert not pace.is_overloaded
    detect.notes = {7: Note(11, pace_note(0.5))}
    detect.now_s += 1.0
    pace.refresh()
    assert pace.is_overloaded
