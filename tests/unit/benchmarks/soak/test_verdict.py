"""What of a soak run is beyond a limit, and its picture."""

from __future__ import annotations

import io
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

from benchmarks.soak.picture import ceiling, drawn, thinned, time_marks
from benchmarks.soak.processes import can_be_watched, look_at
from benchmarks.soak.recording import Flow, Look, Recording, buckets, quantile
from benchmarks.soak.verdict import Verdict
from tests.support.waiting import wait_until

ENDS_S = 1_200
INF = math.inf


def recording(
    look: Callable[[float], Look] = lambda at_s: Look(at_s, 100.0, 12, 5, at_s / 4),
    delay_s: Callable[[float], float] = lambda _: 0.4,
    ends_s: int = ENDS_S,
) -> Recording:
    """One service and one result a second, whose delay is in the bucket above `delay_s`."""
    found, counts = Recording({"detect": []}), dict.fromkeys((0.5, 5.0, INF), 0.0)
    for second in range(0, ends_s + 1, 5):
        found.services["detect"].append(look(float(second)))
        for end_s in counts:
            counts[end_s] += 5 * (delay_s(second) <= end_s)
        found.flow.append(Flow(float(second), dict(counts), waiting=3))
    return found


def told(verdict: Verdict) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(verdict.draw())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_stays_as_it_is_is_clean() -> None:
    verdict = Verdict(recording())
    assert verdict.sentences == []
    assert verdict.is_clean
    assert verdict.checks_memory
    text = told(verdict)
    assert "100 → 100" in text
    assert "12 → 12" in text
    assert "0.25" in text
    assert "median 0.25 s" in text


def test_memory_that_grows_is_named_with_its_slope() -> None:
    verdict = Verdict(recording(lambda at_s: Look(at_s, 100 + at_s / 100, 12, 5, 0.0)))
    assert verdict.sentences == ["the memory of detect grows by 36 MB an hour, 36 at least: more than 10"]


def test_slow_or_initial_growth_is_not_reported() -> None:
    assert Verdict(recording(lambda at_s: Look(at_s, 100 + at_s / 500, 12, 5, 0.0))).is_clean
    assert Verdict(recording(lambda at_s: Look(at_s, 100 + min(at_s, 250), 12, 5, 0.0))).is_clean


def test_a_short_run_gives_no_verdict_on_memory() -> None:
    verdict = Verdict(recording(lambda at_s: Look(at_s, 100 + at_s, 12, 5, 0.0), ends_s=120))
    assert not verdict.checks_memory
    assert verdict.is_clean
    assert "classified from 6 minutes on" in told(verdict)


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (
            lambda at_s: Look(at_s, 100.0, int(12 + at_s // 60), 5, 0.0),
            "the files of detect grew from 18 to 30",
        ),
        (
            lambda at_s: Look(at_s, 100.0, 12, int(5 + at_s // 60), 0.0),
            "the threads of detect grew from 11 to 23",
        ),
    ],
)
def test_files_and_threads_that_add_up_are_named(look: Callable[[float], Look], sentence: str) -> None:
    assert Verdict(recording(look)).sentences == [sentence]


def test_files_that_come_and_go_are_not_named() -> None:
    assert Verdict(recording(lambda at_s: Look(at_s, 100.0, 12 + int(at_s // 5) % 9, 5, 0.0))).is_clean


def test_a_delay_that_grows_is_named() -> None:
    verdict = Verdict(recording(delay_s=lambda at_s: 0.4 if at_s < 800 else 4.0))
    assert verdict.sentences == ["the median delay grew from 0.2 to 2.8 s"]


def test_no_results_at_all_are_named() -> None:
    assert Verdict(recording(delay_s=lambda _: math.nan)).sentences == ["no results came after the warm-up"]


def test_what_others_complain_of_counts() -> None:
    verdict = Verdict(recording(), ["sink ended by itself"])
    assert not verdict.is_clean
    assert verdict.sentences == ["sink ended by itself"]


def test_a_quantile_is_read_as_prometheus_reads_it() -> None:
    counts = {0.1: 10.0, 0.5: 30.0, 1.0: 40.0, INF: 40.0}
    assert quantile(counts, 0.5) == pytest.approx(0.1 + 0.4 * 10 / 20)
    assert quantile(counts, 1.0) == 1.0
    assert quantile({0.1: 1.0, INF: 100.0}, 0.99) == 0.1
    assert quantile({0.1: 0.0, 0.5: 4.0, INF: 4.0}, 0.25) == pytest.approx(0.2)


def test_buckets_are_read_by_their_ends() -> None:
    assert buckets([("0.5", 3.0), ("+Inf", 4.0)]) == {0.5: 3.0, INF: 4.0}


def test_the_picture_shows_each_service_inside_its_panel() -> None:
    picture = Xml.fromstring(drawn(Verdict(recording())))  # noqa: S314  (our own)
    name = "{http://www.w3.org/2000/svg}"
    texts = [one.text for one in picture.iter(f"{name}text")]
    assert {"memory, MB", "open files and connections", "threads", "detect", "+0.0 MB an hour"} <= set(texts)
    assert "prefers-color-scheme:dark" in "".join(one.text or "" for one in picture.iter(f"{name}style"))
    lines = [one.attrib["points"].split() for one in picture.iter(f"{name}polyline")]
    assert len(lines) == 5
    width_px, height_px = float(picture.attrib["width"]), float(picture.attrib["height"])
    for line in lines:
        for point in line:
            x_px, y_px = map(float, point.split(","))
            assert 0 < x_px < width_px
            assert 0 < y_px < height_px


def test_a_picture_of_nothing_can_be_drawn() -> None:
    nothing = Recording({"sink": [Look(0.0, 0.0, 0, 0, 0.0)]}, [Flow(0.0, {}, 0)])
    Xml.fromstring(drawn(Verdict(nothing)))  # noqa: S314
    assert told(Verdict(nothing))


@pytest.mark.parametrize(
    ("values", "end"), [([], 1), ([0], 1), ([3], 4), ([7.9], 8), ([41], 80), ([130], 200), ([0.011], 0.012)]
)
def test_an_axis_holds_its_values_and_ends_round(values: list[float], end: float) -> None:
    assert ceiling(values) == pytest.approx(end)


@pytest.mark.parametrize(
    ("end_s", "labels"),
    [
        (40, "0 s, 10 s, 20 s, 30 s, 40 s"),
        (842, "0 min, 5 min, 10 min"),
        (1806, "0 min, 10 min, 20 min, 30 min"),
        (86_400, "0 h, 5 h, 10 h, 15 h, 20 h"),
    ],
)
def test_time_is_marked_at_round_numbers(end_s: float, labels: str) -> None:
    marks = list(time_marks(end_s))
    assert ", ".join(label for _, label in marks) == labels
    assert marks[0][0] == 0
    assert marks[-1][0] <= end_s


def test_many_points_are_thinned_and_the_last_stays() -> None:
    points = [(float(one), 1.0) for one in range(10_001)]
    assert len(thinned(points)) <= 301
    assert thinned(points)[-1] == points[-1]
    assert thinned([]) == []


@pytest.mark.skipif(not can_be_watched(), reason="this system has no /proc")
def test_a_process_is_seen_with_those_that_it_started() -> None:
    before = look_at(os.getpid(), 0.0)
    assert before.memory_mb > 10
    assert before.threads >= 1
    with Path(os.devnull).open() as _, subprocess.Popen(["sleep", "60"]) as child:
        wait_until(lambda: look_at(child.pid, 0.0).memory_mb > 0, 5, "it runs")
        after = look_at(os.getpid(), 1.0)
        assert after.threads >= before.threads + 1
        assert after.files > before.files + 3
        assert after.at_s == 1.0
        child.kill()
    assert look_at(child.pid, 2.0) == Look(2.0, 0.0, 0, 0, 0.0)
