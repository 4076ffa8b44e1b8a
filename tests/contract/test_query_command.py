"""`agegender query …` on a real store: its tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from agegender.cli import app
from agegender.shared.errors import SettingsError
from tests.support.made_messages import camera_notice, frame_info, track_summary, track_update, vote
from tests.support.sink import Sink, opened_sink
from tests.support.waiting import wait_until

WATCH_S = 30.0


@pytest.fixture
def sink(redis_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """A store for one test; the command reads it."""
    monkeypatch.setenv("REDIS_URL", redis_database)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("agegender.commands.query.answers.start_process", lambda: None)
    with opened_sink(redis_database) as one:
        yield one


def visit(
    sink: Sink, number: int, ago_s: float, *, camera: str = "door", age: float = 34.0, male: float = 0.1
) -> None:
    """A visit of 2 s that began a while ago and has ended."""
    name, came_s = f"s1-{number}", time.time() - ago_s
    frame = frame_info(camera, sequence=number, captured_at_s=came_s + 2)
    seen = track_update(track_summary(name, first_seen_s=came_s, ended=True), frame=frame)
    sink.output.write([vote(name, camera_id=camera, age_years=age, male_probability=male), seen])


@pytest.fixture
def busy(sink: Sink) -> Sink:
    """Three visits of this hour or the one before, one of yesterday, and one person who is there."""
    visit(sink, 1, 600)
    visit(sink, 2, 700, male=0.99, age=8)
    visit(sink, 3, 800, camera="hall", male=0.5, age=71)
    visit(sink, 4, 26 * 3600, camera="hall")
    came_s = time.time() - 65
    frame = frame_info("hall", sequence=9, captured_at_s=time.time())
    sink.output.write(
        [track_update(track_summary("s1-9", first_seen_s=came_s, seconds=64.6, votes_sent=0), frame=frame)]
    )
    return sink


def ask(*arguments: str) -> Result:
    found = CliRunner().invoke(app, ["query", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found


def records(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask(*arguments, "--json").stdout.splitlines()]


def rows(*arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(ask(*arguments, "--csv").stdout)))


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['camera_id']}/{one['track_id']}" for one in found]


@pytest.mark.usefixtures("busy")
def test_the_visits_of_the_last_day_come_newest_first() -> None:
    assert ids(records("visits")) == ["hall/s1-9", "door/s1-1", "door/s1-2", "hall/s1-3"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--since", "2d"), ["hall/s1-9", "door/s1-1", "door/s1-2", "hall/s1-3", "hall/s1-4"]),
        (("--since", "2d", "--until", "24h"), ["hall/s1-4"]),
        (("--camera", "door"), ["door/s1-1", "door/s1-2"]),
        (("--camera", "door", "--camera", "hall", "--limit", "3"), ["hall/s1-9", "door/s1-1", "door/s1-2"]),
        (("--age-band", "0-9", "--age-band", "70+"), ["door/s1-2", "hall/s1-3"]),
        (("--age-band", "unknown"), ["hall/s1-9"]),
        (("--gender", "female"), ["door/s1-1"]),
        (("--gender", "male", "--gender", "unknown"), ["hall/s1-9", "door/s1-2", "hall/s1-3"]),
    ],
)
@pytest.mark.usefixtures("busy")
def test_visits_are_selected_by_time_camera_age_and_gender(
    options: tuple[str, ...], expected: list[str]
) -> None:
    assert ids(records("visits", *options)) == expected


@pytest.mark.usefixtures("busy")
def test_a_visit_has_all_its_fields_as_json_and_csv() -> None:
    (one,) = records("visits", "--gender", "female")
    assert one["age_years"] == 34.0
    assert one["age_interval_years"] == [29.0, 40.0]
    assert (one["age_band"], one["closed"], one["faces_classified"], one["frames"]) == (
        "30-39",
        "left",
        1,
        10,
    )
    assert one["dwell_s"] == pytest.approx(2.0)
    assert one["nets"] == "nets-1"
    (row,) = rows("visits", "--gender", "female")
    assert (row["age_interval_years_low"], row["age_interval_years_high"]) == ("29.0", "40.0")
    assert set(row) >= set(one) - {"age_interval_years"}


@pytest.mark.usefixtures("busy")
def test_a_table_of_visits_fits_a_terminal() -> None:
    shown = ask("visits").stdout
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    assert "29\N{EN DASH}40" in shown
    assert "not yet" in shown
    assert "1 min 5 s" in shown


def test_tz_is_the_zone_of_dates_and_of_shown_times(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    visit(sink, 1, 20 * 3600)
    began_at = datetime.now(ZoneInfo("Asia/Tokyo")) - timedelta(hours=20)
    since, until = (f"{began_at + timedelta(minutes=m):%Y-%m-%dT%H:%M}" for m in (-5, 5))
    around = ("visits", "--since", since, "--until", until)
    assert ids(records(*around, "--tz", "Asia/Tokyo")) == ["door/s1-1"]
    assert records(*around, "--tz", "UTC") == []
    shown = ask(*around, "--tz", "Asia/Tokyo").stdout
    assert any(f"{began_at + timedelta(seconds=s):%H:%M:%S}" in shown for s in (-2, -1, 0, 1, 2))


@pytest.mark.usefixtures("busy")
def test_now_lists_visits_that_have_not_ended() -> None:
    assert ids(records("now")) == ["hall/s1-9"]
    assert records("now", "--camera", "door") == []
    assert "No person is there now." in ask("now", "--camera", "door").stderr


@pytest.mark.usefixtures("busy")
def test_counts_are_the_sums_of_visits() -> None:
    for by in ("minute", "hour", "day"):
        found = records("counts", "--by", by, "--since", "47h")
        assert sum(one["visits"] for one in found) == 5
        first = rows("counts", "--by", by, "--since", "47h")[0]
        assert datetime.fromisoformat(first["start"]).timestamp() == float(first["start_s"])
    chosen = records("counts", "--since", "2h", "--gender", "male", "--age-band", "0-9", "--camera", "door")
    assert sum(one["visits"] for one in chosen) == 1
    last = [line for line in ask("counts", "--since", "47h").stdout.splitlines() if "in all" in line]
    assert last[0].split()[:6] == ["in", "all", "5", "2", "1", "2"]


def test_small_counts_are_merged_or_left_out(sink: Sink) -> None:
    yesterday_s = time.time() // 86_400 * 86_400 - 43_200
    for number in range(7):
        ago_s = time.time() - yesterday_s - number
        visit(sink, number, ago_s, male=0.99 if number < 3 else 0.1, age=71 if number == 6 else 34)
    visit(sink, 7, time.time() - yesterday_s + 7_200)
    visit(sink, 8, 30)
    found = records("counts", "--since", "3d", "--least", "3")
    told = [(one["age_band"], one["gender"], one["visits"], one["fewer_than"]) for one in found]
    assert told == [(None, None, None, 3), (None, "female", 4, None), (None, "male", 3, None)]
    assert rows("counts", "--since", "3d", "--least", "3")[0]["fewer_than"] == "3"
    lines = [line.split() for line in ask("counts", "--since", "3d", "--least", "3").stdout.splitlines()]
    assert [line[2:] for line in lines if ":00" in " ".join(line)] == [
        ["0+", "0+", "0+", "0+"],
        ["7", "4", "3"],
    ]
    assert [line for line in lines if line[:2] == ["in", "all"]] == [["in", "all", "7+", "4+", "3+", "0+"]]


@pytest.mark.usefixtures("busy")
def test_cameras_are_live_while_their_frames_arrive() -> None:
    assert [(one["camera_id"], one["present"]) for one in records("cameras")] == [("door", 0), ("hall", 1)]
    assert rows("cameras")[0]["width_px"] == "640"
    assert "live" in ask("cameras").stdout


@pytest.mark.usefixtures("busy")
def test_times_come_as_iso_with_their_zone_beside_seconds() -> None:
    for name in ("first_seen", "last_seen"):
        one, row = records("visits", "--tz", "Asia/Tokyo")[0], rows("visits", "--tz", "Asia/Tokyo")[0]
        assert one[name] == row[name]
        assert one[name].endswith("+09:00")
        assert datetime.fromisoformat(one[name]).timestamp() == pytest.approx(one[f"{name}_s"], abs=0.001)
    camera = records("cameras", "--tz", "Asia/Kolkata")[0]
    assert datetime.fromisoformat(camera["captured_at"]).timestamp() == pytest.approx(
        camera["captured_at_s"], abs=0.001
    )
    assert camera["written_at"].endswith("+05:30")
    (face,) = [
        json.loads(line) for line in ask("faces", "door", "--limit", "1", "--json").stdout.splitlines()
    ]
    assert datetime.fromisoformat(face["captured_at"]).timestamp() == pytest.approx(face["captured_at_s"])


def test_a_failing_camera_is_listed_with_reason_and_time(sink: Sink) -> None:
    sink.output.write([camera_notice("entrance-of-the-northern-hall", noticed_at_s=time.time())])
    (one,) = records("cameras")
    assert (one["state"], one["reason"], one["captured_at_s"]) == ("failing", "login", None)
    assert datetime.fromisoformat(one["since"]).timestamp() == pytest.approx(time.time() - 5, abs=5)
    shown = ask("cameras").stdout
    assert "failing" in shown
    assert "login: 401 Unauthorized" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80


def test_counts_of_all_ages_fit_a_narrow_terminal(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        visit(sink, number, 60 + number, age=5.0 + 10 * number)
    shown = ask("counts").stdout
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    genders, ages = [line.split()[2:] for line in shown.splitlines() if "in all" in line]
    assert (genders, ages) == (["9", "9"], ["1", "1", "1", "1", "1", "1", "1", "2"])
    monkeypatch.setenv("COLUMNS", "160")
    assert ask("counts").stdout.count("in all") == 1


def test_long_names_are_cut_in_the_middle_of_a_table(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = "north-building-second-floor-corridor-east-wing-4"
    visit(sink, 1, 30, camera=camera)
    shown = ask("visits").stdout
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    assert "29\N{EN DASH}40" in shown
    assert "nor" in shown
    assert "ng-4" in shown
    assert "\N{HORIZONTAL ELLIPSIS}" in shown
    monkeypatch.delenv("COLUMNS")
    assert camera in ask("visits").stdout, "no terminal: nothing is cut"


@pytest.mark.usefixtures("sink")
def test_an_empty_store_is_no_error() -> None:
    assert "The store knows no camera yet." in ask("cameras").stderr
    assert "No visit began in this time." in ask("visits").stderr
    assert "No visit was counted in this time." in ask("counts").stderr
    assert records("visits") == records("counts") == records("now") == records("cameras") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("visits", "--since", "soon"), "expected a time as"),
        (("visits", "--since", "1h", "--until", "2h"), "expected --since before --until"),
        (("visits", "--age-band", "20s"), "--age-band: expected one of 0-9"),
        (("counts", "--gender", "man"), "--gender: expected one of female, male, unknown"),
        (("counts", "--by", "minute", "--since", "1900-01-01"), "ask for a shorter time"),
        (("counts", "--least", "2"), "--least: expected 1 .* or at least 3, got 2"),
        (("counts", "--least", "3", "--gender", "male"), "without --age-band and --gender"),
        (("now", "--json", "--csv"), "either --json or --csv"),
        (("visits", "--tz", "Mars/Base"), "--tz: expected the name of a time zone"),
    ],
)
@pytest.mark.usefixtures("busy")
def test_wrong_options_are_refused_with_advice(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        CliRunner().invoke(app, ["query", *arguments], catch_exceptions=False)


def test_watch_prints_each_visit_when_it_ends(busy: Sink, redis_database: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agegender", "query", "watch", "--json", "--seconds", str(WATCH_S)],
        env={**os.environ, "REDIS_URL": redis_database},
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        # The start of the watch is not visible, and earlier visits are not printed: so visits go on ending.
        numbers = itertools.count(100)

        def is_printed() -> bool:
            visit(busy, next(numbers), 3.0)
            return _can_read(watching, 0.5)

        wait_until(is_printed, WATCH_S, "a visit that ended is printed")
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["closed"] == "left"
        watching.terminate()
        assert watching.wait(10) == 0


def _can_read(process: subprocess.Popen[str], within_s: float) -> bool:
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], within_s)[0])
