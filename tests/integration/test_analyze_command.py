"""The command, as a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from agegender.cli import app
from agegender.commands.analyze.rows import CSV_COLUMNS
from agegender.shared.errors import SettingsError
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.analyzing import PROGRAM, run_analyze
from tests.support.faces import ASTRONAUT, no_face, portraits, write_frames
from tests.support.terminal import drained, lines_seen, run_on_terminal
from tests.support.waiting import wait_until


def rows_of(text: str, kind: str) -> list[dict[str, Any]]:
    return [row for line in text.splitlines() if (row := json.loads(line))["record"] == kind]


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:03}.jpg"), portraits(index % 3))
    return folder


def test_a_mixed_folder_gives_a_table_and_says_what_failed(tmp_path: Path) -> None:
    folder = tmp_path / "Urlaub mit Ümläuten"
    pictures(folder, 3)
    (folder / "broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:9_000])
    (folder / "空 白.png").write_bytes(cv2.imencode(".png", portraits(1))[1].tobytes())
    write_frames(folder / "clip.mp4", [(portraits(1), index / 10) for index in range(10)])
    done = run_analyze(folder)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("file ")
    assert lines[0].endswith("face   id  age between gender  sure quality  box, px")
    assert sum("1 of 2" in line or "2 of 2" in line for line in lines) == 2
    assert any("no face" in line for line in lines)
    assert any("空 白.png" in line for line in lines)
    assert sum("person #1: female" in line for line in lines) == 1
    assert "broken.jpg: the picture of 512 x 512 pixels cannot be decoded" in done.stderr
    assert "1 of 6 failed" in done.stderr
    assert "%|" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_json_has_a_line_for_each_face_person_and_source(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_frames(clip, [(portraits(1), index / 10) for index in range(10)])
    done = run_analyze("--json", ASTRONAUT, clip, tmp_path / "none.jpg")
    assert done.returncode == 1
    face = rows_of(done.stdout, "face")[0]
    assert face["source"] == str(ASTRONAUT)
    assert face["frame_wh"] == [512, 512]
    assert len(face["box_xyxy"]) == 4
    assert [len(point) for point in face["landmarks_xy"]] == [2] * 5
    assert {"score", "quality", "age_years", "age_interval_years", "unclassified", "gender"} <= set(face)
    assert {"gender_confidence", "frame", "time_s", "track_id"} <= set(face)
    frames = [(row["frame"], row["time_s"], row["track_id"]) for row in rows_of(done.stdout, "face")[1:]]
    assert frames == [(0, 0.0, "1"), (2, 0.2, "1"), (4, 0.4, "1"), (6, 0.6, "1"), (8, 0.8, "1")]
    (person,) = rows_of(done.stdout, "person")
    assert (person["track_id"], person["faces"], person["first_s"], person["last_s"]) == ("1", 5, 0.0, 0.8)
    errors = [row["error"] for row in rows_of(done.stdout, "source")]
    assert errors[:2] == [None, None]
    assert "No such file" in errors[2]


def test_csv_has_the_same_columns_for_every_kind_of_row(tmp_path: Path) -> None:
    name = 'a "quoted", name.jpg'
    shutil.copy(ASTRONAUT, tmp_path / name)
    clip = tmp_path / "clip.mp4"
    write_frames(clip, [(portraits(1), index / 10) for index in range(6)])
    output = tmp_path / "faces.csv"
    done = run_analyze("--csv", "--output", output, "--fps", "all", tmp_path / name, clip)
    assert (done.returncode, done.stdout) == (0, "")
    rows = list(csv.DictReader(io.StringIO(output.read_bytes().decode("utf-8"), newline="")))
    assert [row["record"] for row in rows] == ["face", "source", *["face"] * 6, "person", "source"]
    assert all(tuple(row) == CSV_COLUMNS for row in rows)
    assert rows[0]["source"] == str(tmp_path / name)
    assert float(rows[0]["left_px"]) == pytest.approx(178, abs=8)
    assert float(rows[0]["nose_x_px"]) == pytest.approx(220, abs=8)
    assert (rows[-1]["frames"], rows[-1]["faces"], rows[-1]["people"]) == ("6", "6", "1")
    assert not (tmp_path / "faces.csv.journal").exists()


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_standard_input_may_hold_a_picture_or_a_video(tmp_path: Path, kind: str) -> None:
    path = ASTRONAUT
    if kind == "video":
        path = tmp_path / "clip.mp4"
        write_frames(path, [(portraits(1), index / 10) for index in range(6)])
    done = run_analyze("--json", "-", stdin=path.read_bytes())
    assert done.returncode == 0, done.stderr
    (source,) = rows_of(done.stdout, "source")
    assert (source["source"], source["faces"]) == ("standard input", 1 if kind == "picture" else 3)


def test_a_camera_is_watched_in_time_and_its_login_is_hidden(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, [portraits(2)] * 50, size_wh=(512, 256), fps=25)
    copies = tmp_path / "copies"
    with CameraSimulator(login=Login("viewer", "sesame-open")) as simulator:
        simulator.add("door", clip)
        url = simulator.url_with_login("door")
        done = run_analyze(url, "--json", "--seconds", "2", "--annotate", copies)
    assert done.returncode == 0, done.stderr
    (source,) = rows_of(done.stdout, "source")
    assert (source["people"], source["faces"]) == (2, 2 * source["frames"])
    assert 6 <= source["frames"] <= 12
    (copy,) = copies.glob("*.mp4")
    assert "sesame" not in f"{done.stdout}{done.stderr}{copy}"


def test_unreadable_and_too_wide_pictures_do_not_end_the_run(tmp_path: Path) -> None:
    long, wide = "x" * 300, tmp_path / "wide.png"
    cv2.imwrite(str(wide), no_face(65_536, 2))
    refused = [wide, *(tmp_path / f"{long}{suffix}" for suffix in ("", ".jpg", ".mp4", "*"))]
    done = run_analyze("--json", *refused, ASTRONAUT)
    assert done.returncode == 1, done.stderr
    sources = rows_of(done.stdout, "source")
    assert [row["source"] for row in sources] == [str(path) for path in (*refused, ASTRONAUT)]
    assert "a side is over 65535" in sources[0]["error"]
    assert all("File name too long" in row["error"] for row in sources[1:-1])
    assert (sources[-1]["faces"], sources[-1]["error"]) == (1, None)
    assert "5 of 6 failed" in done.stderr


def test_a_lost_camera_is_reported_and_ends_in_time(tmp_path: Path) -> None:
    clip, copies = tmp_path / "clip.mp4", tmp_path / "copies"
    write_video(clip, [portraits(2)] * 50, size_wh=(512, 256), fps=25)
    with CameraSimulator() as simulator:
        arguments = [simulator.add("door", clip), "--json", "--seconds", "6", "--annotate", str(copies)]
        with subprocess.Popen(
            [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                wait_until(lambda: list(copies.glob(".*.part")), 30, "a frame is looked at")
                simulator.stop_camera("door")
                rows, told = process.communicate(timeout=40)
            finally:
                process.kill()
    assert process.returncode == 1
    assert told.count("trying again: ") == 1
    (source,) = rows_of(rows, "source")
    assert source["error"].startswith("broken after ")
    assert source["frames"] > 0
    assert len(list(copies.glob("*.mp4"))) == 1


def test_copies_of_a_folder_keep_its_structure(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", 3)
    (folder / "deeper").mkdir()
    shutil.copy(ASTRONAUT, folder / "deeper" / "a.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    (folder / "copies").mkdir()
    shutil.copy(ASTRONAUT, folder / "copies" / "deeper.jpg")
    done = run_analyze(folder, "--annotate", folder / "copies")
    assert done.returncode == 0, done.stderr
    (folder / "copies" / "deeper.jpg").unlink()
    copies = sorted(str(path.relative_to(folder / "copies")) for path in (folder / "copies").rglob("*.*"))
    assert copies == [".agegender.copies", "000.jpg", "001.jpg", "002.jpg", "deeper/a.jpg"]
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "copies" / "deeper" / "a.jpg").read_bytes() != ASTRONAUT.read_bytes()
    one = folder / "copies" / "001.jpg"
    labelled = one.read_bytes()
    assert run_analyze(folder / "001.jpg", "--annotate", folder / "copies", "--blur").returncode == 0
    assert one.read_bytes() != labelled


def test_a_copy_replaces_nothing_but_copies(tmp_path: Path) -> None:
    ours, theirs = pictures(tmp_path / "ours", 3), pictures(tmp_path / "theirs", 2)
    write_frames(ours / "clip.mp4", [(portraits(1), 0.0)])
    (theirs / "clip.mp4").write_bytes(b"another clip")
    before = {path: path.read_bytes() for path in theirs.iterdir()}
    done = run_analyze("--json", ours, theirs / "000.jpg", "--annotate", theirs)
    assert done.returncode == 1
    errors = [row["error"] for row in rows_of(done.stdout, "source")]
    assert "the copy would replace the original" in errors[0]
    assert "is there already and no copy" in errors[1]
    assert errors[2] is None
    assert "is there already and no copy" in errors[3]
    assert errors[4] is None
    assert "3 of 5 failed" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    names = sorted(path.name for path in theirs.glob("*.jpg"))
    assert names == ["000-2.jpg", "000.jpg", "001.jpg", "002.jpg"]


def test_what_cannot_be_written_is_told_before_the_work_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for option, path in (
        ("--annotate", tmp_path / "file" / "x"),
        ("--output", tmp_path / "none" / "rows.txt"),
    ):
        done = run_analyze(ASTRONAUT, option, path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("agegender: ")
        assert "cannot write" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "nothing to analyze"),
        (["--json", "--csv", "a.jpg"], "one of --json and --csv"),
        (["--blur", "a.jpg"], "--annotate DIR"),
        (["--resume", "a.jpg"], "--output FILE"),
        (["--fps", "fast", "a.mp4"], "--fps fast: expected a number"),
        (["--annotate", "x", "--blur", "--fps", "2", "a.mp4"], "leave out --fps"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], why: str) -> None:
    result = CliRunner().invoke(app, ["analyze", *arguments])
    assert isinstance(result.exception, SettingsError)
    assert why in str(result.exception)


@pytest.mark.skipif("DISPLAY" in os.environ, reason="there is a screen here")
def test_without_a_screen_show_says_so() -> None:
    done = run_analyze("--show", ASTRONAUT)
    assert done.returncode == 2
    assert "--show needs" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_continued_where_it_stopped(tmp_path: Path, number: signal.Signals) -> None:
    folder = pictures(tmp_path / "photos", 90)
    output, copies = tmp_path / "rows.jsonl", tmp_path / "copies"
    journal = tmp_path / "rows.jsonl.journal"
    arguments = [str(folder), "--json", "--output", str(output), "--annotate", str(copies), "--workers", "1"]
    with subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE) as process:
        wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 6, 30, "some are done")
        process.send_signal(number)
        assert process.wait(timeout=30) == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert process.stderr is not None
        told = process.stderr.read().decode()
    assert (number == signal.SIGKILL) or ("--resume goes on" in told)
    done_first = [row["source"] for row in rows_of(output.read_text(), "source")]
    assert 5 < len(done_first) < 90
    refused = run_analyze(*arguments)
    assert refused.returncode == 2
    assert "go on with --resume" in refused.stderr
    with output.open("a") as file:
        file.write('{"record": "face", "source": "cut o')
    finished = run_analyze(*arguments, "--resume")
    assert finished.returncode == 0, finished.stderr
    sources = [row["source"] for row in rows_of(output.read_text(), "source")]
    assert sources == [str(path) for path in sorted(folder.iterdir())]
    assert sources[: len(done_first)] == done_first
    assert len(rows_of(output.read_text(), "face")) == 90
    assert len(list(copies.glob("*.jpg"))) == 90
    assert not journal.exists()


def test_resume_retries_failures_and_writes_no_row_twice(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", 2)
    broken = folder / "000-broken.jpg"
    broken.write_bytes(ASTRONAUT.read_bytes()[:9_000])
    output, copies = tmp_path / "rows.jsonl", tmp_path / "copies"
    arguments = [str(folder), "--json", "--output", str(output), "--annotate", str(copies)]
    first = run_analyze(*arguments)
    assert first.returncode == 1
    assert "1 of 3 failed; the same command with --resume tries them again" in first.stderr
    whole = sorted(str(path) for path in folder.iterdir())
    assert [row["source"] for row in rows_of(output.read_text(), "source")] == [whole[1], whole[2], whole[0]]
    before = output.read_bytes()
    for option, difference in (("--blur", "--blur no, now yes"), ("--fps=3", "--fps all, now 3")):
        refused = run_analyze(*arguments, "--resume", option)
        assert refused.returncode == 2
        assert difference in refused.stderr
        assert output.read_bytes() == before
    shutil.copy(ASTRONAUT, broken)
    copied_at = (copies / "000.jpg").stat().st_mtime_ns
    assert run_analyze(*arguments, "--resume").returncode == 0
    assert sorted(row["source"] for row in rows_of(output.read_text(), "source")) == whole
    assert len(rows_of(output.read_text(), "face")) == 2
    assert (copies / "000.jpg").stat().st_mtime_ns == copied_at
    after = output.read_bytes()
    refused = run_analyze(*arguments, "--resume")
    assert refused.returncode == 2
    assert "has come to its end" in refused.stderr
    assert output.read_bytes() == after


def test_a_terminal_sees_how_far_the_work_is(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", 12)
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, str(folder)], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        assert process.stdout is not None
        table = process.stdout.read().decode()
        drawn = drained(ours)
    assert process.wait() == 0
    assert b"/12" in drawn
    assert b"/s" in drawn
    assert "\x1b" not in table


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_on_a_terminal_every_row_stands_on_a_line_of_its_own(tmp_path: Path, form: list[str]) -> None:
    folder = pictures(tmp_path / "photos", 6)
    (folder / "002-broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:9_000])
    write_frames(folder / "003-clip.mp4", [(portraits(2), index / 5) for index in range(12)])
    arguments = [*form, str(folder)]
    columns = {"COLUMNS": "160"}
    piped = run_analyze(*arguments, environment=columns)
    status, written = run_on_terminal([*PROGRAM, *arguments], 160, {"TERM": "xterm", **columns})
    assert status == piped.returncode == 1
    assert "/8 " in written
    assert "03-clip.mp4 " in written
    seen = lines_seen(written)
    told = [line for line in seen if line.startswith("agegender: ")]
    assert told == piped.stderr.splitlines()
    rows = [line for line in seen if line not in told]
    if form:
        kinds = [(row["record"], row["source"]) for row in map(json.loads, rows)]
        expected = map(json.loads, piped.stdout.splitlines())
        assert kinds == [(row["record"], row["source"]) for row in expected]
        assert max(map(len, rows)) > 160
    else:
        assert rows == [line.rstrip() for line in piped.stdout.splitlines()]


def test_no_bar_is_drawn_into_a_file_whatever_is_said_of_colours(tmp_path: Path) -> None:
    done = run_analyze(pictures(tmp_path / "photos", 3), environment={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


def test_a_reader_that_has_enough_ends_the_run_without_a_word(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", 30)
    with subprocess.Popen(
        [*PROGRAM, "--json", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.wait() == 1


def test_the_installed_command_has_it_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), no_face())
    done = subprocess.run(
        [PROGRAM[0], "-m", "agegender", "analyze", "--json", str(tmp_path)],
        cwd=Path(PROGRAM[1]).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert rows_of(done.stdout, "source")[0]["faces"] == 0
