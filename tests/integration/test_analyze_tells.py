"""What the tool skips or cannot read is told, and pipes are read like files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import cv2
import pytest

from age_gender_detection import Analyzer
from tests.support.analyzing import PROGRAM, run_analyze
from tests.support.faces import ASTRONAUT, astronaut, no_face, write_frames
from tests.support.waiting import wait_until

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="FIFOs and /proc are those of Linux")


def test_frames_that_cannot_be_decoded_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "hole.mp4"
    write_frames(path, [(astronaut(), number / 10) for number in range(12)])
    with av.open(str(path)) as container:
        places = [(one.pos or 0, one.size) for one in container.demux(container.streams.video[0]) if one.size]
    data = bytearray(path.read_bytes())
    for at, size in places[4:7]:
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    done = run_analyze("--json", "--fps", "all", path)
    assert done.returncode == 1
    source = next(row for row in map(json.loads, done.stdout.splitlines()) if row["record"] == "source")
    assert (source["frames"], source["undecoded"]) == (9, 3)
    assert source["error"] == "3 of 12 frames cannot be decoded"
    assert source["error"] in done.stderr
    with Analyzer(workers=1) as analyzer:
        assert analyzer.analyze_video(path).undecoded == 3


@LINUX_ONLY
def test_what_a_folder_holds_besides_is_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(ASTRONAUT, folder / "photo.jpg_large")
    for name in ("notes.txt", "sheet.pdf"):
        (folder / name).write_text("a text")
    (folder / "elsewhere").symlink_to(tmp_path)
    done = run_analyze("--json", folder)
    assert done.returncode == 0
    assert "agegender: 3 files skipped: 2 unknown kinds, 1 link\n" in done.stderr
    assert f"unknown kind: {folder / 'notes.txt'}, {folder / 'sheet.pdf'}" in done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["record"], summary["sources"], summary["failed"]) == ("summary", 1, 0)
    assert {(Path(one["source"]).name, one["reason"]) for one in summary["skipped"]} == {
        ("notes.txt", "unknown kind"),
        ("sheet.pdf", "unknown kind"),
        ("elsewhere", "link"),
    }


@LINUX_ONLY
def test_a_fifo_in_a_folder_holds_nothing_up(tmp_path: Path) -> None:
    shutil.copy(ASTRONAUT, tmp_path / "photo.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    done = run_analyze(tmp_path)
    assert done.returncode == 0
    assert "1 file skipped: 1 FIFO or device" in done.stderr


@LINUX_ONLY
def test_a_fifo_given_by_name_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[ASTRONAUT.read_bytes()])
    writer.start()
    done = run_analyze("--json", tmp_path / "pipe")
    writer.join()
    assert json.loads(done.stdout.splitlines()[0])["source"] == str(tmp_path / "pipe")


@LINUX_ONLY
@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-"])
def test_a_pipe_keeps_what_was_looked_at(name: str) -> None:
    done = run_analyze("--json", name, stdin=ASTRONAUT.read_bytes())
    assert [json.loads(line)["record"] for line in done.stdout.splitlines()] == ["face", "source", "summary"]


@LINUX_ONLY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("by_name", [True, False])
def test_a_wait_for_a_pipe_ends_with_a_signal(tmp_path: Path, number: int, by_name: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    name = str(tmp_path / "pipe") if by_name else "-"
    with subprocess.Popen([*PROGRAM, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        caught = Path(f"/proc/{program.pid}/status")

        def handles() -> bool:
            masks = [line.split()[1] for line in caught.read_text().splitlines() if line.startswith("SigCgt")]
            return bool(int(masks[0], 16) & 1 << signal.SIGTERM - 1)

        wait_until(handles, 60, "the handling of signals")
        program.send_signal(number)
        assert program.wait(20) == 130
        assert program.stderr is not None
        assert b"stopped" in program.stderr.read()


def test_the_face_on_a_later_page_or_frame_is_found(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "scan.tif"), [no_face(512, 512), astronaut()])
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(one, cv2.COLOR_BGR2BGRA) for one in (no_face(512, 512), astronaut())]
    animation.durations = [500, 500]
    for suffix in (".gif", ".webp", ".png", ".avif"):
        assert cv2.imwriteanimation(str(tmp_path / f"moves{suffix}"), animation)
    done = run_analyze("--json", tmp_path, "--annotate", tmp_path / "copies")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    faces = {Path(row["source"]).name: row["faces"] for row in rows if row["record"] == "source"}
    assert faces == {
        **{f"moves{suffix}": 1 for suffix in (".gif", ".webp", ".png", ".avif")},
        "scan.tif, page 1": 0,
        "scan.tif, page 2": 1,
    }
    copies = {path.name for path in (tmp_path / "copies").glob("*.*") if not path.name.startswith(".")}
    assert copies == {
        *(f"moves{suffix}.mp4" for suffix in (".gif", ".webp", ".png", ".avif")),
        "scan-page-1.tif.jpg",
        "scan-page-2.tif.jpg",
    }
