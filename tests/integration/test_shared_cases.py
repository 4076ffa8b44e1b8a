"""Each input that once failed gives the right answer: that of its control, or of the portrait behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from age_gender_detection import Analyzer, Unreadable, VideoAnalysis
from agegender.commands.cameras.probing import probe
from agegender.services.ingest.sources.video_file import VideoFileStream
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import Result
from tests.support.analyzing import run_analyze
from tests.support.faces import ASTRONAUT
from tests.support.shared_cases import shared_case

_ROOT = Path(__file__).parents[2]
_AGE_YEARS = 33.0  # of the portrait, give or take what a codec changes
_NEAR_YEARS = 5.0


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer(workers=2) as analyzer:
        yield analyzer


def only_face(analyzer: Analyzer, name: str) -> Result:
    """The one face of a picture; it stands upright."""
    (face,) = analyzer.analyze_image(shared_case(name))
    return checked(face)


def checked(face: Result) -> Result:
    assert is_upright(face)
    assert face.gender == "female"
    assert face.age_years == pytest.approx(_AGE_YEARS, abs=_NEAR_YEARS)
    return face


def is_upright(face: Result) -> bool:
    eye_left, eye_right, _, mouth_left, mouth_right = face.face.landmarks_xy
    return max(eye_left[1], eye_right[1]) < min(mouth_left[1], mouth_right[1]) and eye_left[0] < eye_right[0]


def watched(analyzer: Analyzer, name: str) -> VideoAnalysis:
    """A video with one person in all of its frames."""
    found = analyzer.analyze_video(shared_case(name), fps=None)
    (person,) = found.people
    assert person.gender == "female"
    assert person.age_years == pytest.approx(_AGE_YEARS, abs=_NEAR_YEARS)
    assert [len(frame.faces) for frame in found.frames] == [1] * len(found.frames)
    assert all(is_upright(frame.faces[0]) for frame in found.frames)
    return found


def same_box(one: Result, other: Result, within_px: float = 6.0) -> bool:
    return bool(np.abs(np.subtract(one.face.box_xyxy, other.face.box_xyxy)).max() <= within_px)


@pytest.mark.parametrize(
    ("name", "control"),
    [("phone_grid.heic", "phone_grid_control.jpg"), ("ten_bit.pgm", "eight_bit_control.pgm")],
)
def test_a_picture_gives_the_face_of_its_control(analyzer: Analyzer, name: str, control: str) -> None:
    assert same_box(only_face(analyzer, name), only_face(analyzer, control))


@pytest.mark.parametrize("name", ["irot.avif", "orientation6_exif00.webp"])
def test_a_turned_picture_is_upright(analyzer: Analyzer, name: str) -> None:
    (portrait,) = analyzer.analyze_image(ASTRONAUT)
    assert same_box(only_face(analyzer, name), portrait)


def test_an_os2_bitmap_is_read(analyzer: Analyzer) -> None:
    face = only_face(analyzer, "os2_v1.bmp")
    assert (face.face.frame.width_px, face.face.frame.height_px) == (256, 256)


def test_the_face_on_the_second_page_is_found(analyzer: Analyzer) -> None:
    assert only_face(analyzer, "face_on_page_2.tif").face.frame.sequence == 1


@pytest.mark.parametrize("name", ["face_in_second_frame.gif", "face_in_second_frame.webp"])
def test_the_face_in_the_second_frame_is_found(analyzer: Analyzer, name: str) -> None:
    path = shared_case(name)
    first, second = analyzer.analyze_video(path, fps=None).frames
    assert first.faces == ()
    checked(*second.faces)
    for picture in (path, path.read_bytes()):
        with pytest.raises(
            Unreadable, match="an animation or a video, with many pictures: use analyze_video"
        ):
            analyzer.analyze_image(picture)
    (row,) = [
        json.loads(line) for line in run_analyze("--json", path).stdout.splitlines() if '"source",' in line
    ]
    assert (row["frames"], row["faces"]) == (2, 1)


def test_every_file_of_the_folder_is_read(tmp_path: Path) -> None:
    done = run_analyze("-o", tmp_path / "rows.jsonl", shared_case("folder"))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    faces = {Path(row["source"]).name: row["faces"] for row in rows if row["record"] == "source"}
    assert faces == dict.fromkeys(["a.jpg", "b.jfif", "d.jpg_large", "e.heic", "without_suffix"], 1)
    assert (rows[-1]["record"], rows[-1]["skipped"]) == ("summary", [])


def test_a_cover_that_comes_first_is_no_video(analyzer: Analyzer) -> None:
    assert len(watched(analyzer, "cover_first.mp4").frames) == 12
    found = probe(Camera(id="file", source=str(shared_case("cover_first.mp4"))), 2)
    assert (found.codec, found.width_px) == ("h264", 640)


def test_frames_in_a_hole_are_counted(analyzer: Analyzer) -> None:
    damaged, whole = (watched(analyzer, f"hole_{name}.mp4") for name in ("in_the_middle", "control"))
    assert (len(damaged.frames), damaged.undecoded) == (8, 4)
    assert (len(whole.frames), whole.undecoded) == (12, 0)
    done = run_analyze("--json", shared_case("hole_in_the_middle.mp4"))
    assert done.returncode == 1
    assert "4 of 12 frames cannot be decoded" in done.stderr


def test_pixels_that_are_not_square_are_seen_as_a_player_shows_them(analyzer: Analyzer) -> None:
    stretched, control = (watched(analyzer, f"anamorphic_{name}.mpg") for name in ("16x9", "control"))
    assert stretched.frames[0].info.width_px == control.frames[0].info.width_px == 1024
    assert same_box(stretched.frames[-1].faces[0], control.frames[-1].faces[0])
    ages = [found.people[0].age_years for found in (stretched, control)]
    assert ages[0] == pytest.approx(ages[1], abs=3)


@pytest.mark.parametrize("name", ["mirrored_matrix.mov", "vflip_matrix.mov"])
def test_a_matrix_that_mirrors_is_undone(analyzer: Analyzer, name: str) -> None:
    watched(analyzer, name)
    shown, control = _first_frame(shared_case(name)), _first_frame(shared_case("hole_control.mp4"))
    turned = {"as it is": control, "mirrored": control[:, ::-1], "upside down": control[::-1]}
    away = {turn: np.abs(one.astype(int) - shown).mean() for turn, one in turned.items()}
    assert min(away, key=lambda turn: away[turn]) == "as it is", away


def test_a_joined_stream_is_one_person_over_both_parts(analyzer: Analyzer) -> None:
    found = watched(analyzer, "concatenated.ts")
    assert len(found.frames) == 24
    (person,) = found.people
    assert person.first_s == 0
    assert person.last_s == pytest.approx(2.3, abs=0.15)


def _first_frame(path: Path) -> Bgr:
    stream = VideoFileStream(str(path))
    try:
        return next(stream.frames()).picture()
    finally:
        stream.close()


def _run_script(name: str) -> list[str]:
    """What a script of the cases prints for the portrait, in the folder of the cases."""
    script = shared_case(name)
    done = subprocess.run(
        [sys.executable, str(script), str(ASTRONAUT)],
        cwd=script.parent,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_mistakes_of_programs_are_told() -> None:
    told = dict(line.split(" -> ", 1) for line in _run_script("api_mistakes.py"))
    one, array, mixed = list(told)[:3]
    assert told[one].startswith("TypeError expected several pictures, got one (str)")
    assert told[array].startswith("TypeError expected several pictures, got one (ndarray)")
    assert told[mixed].startswith("3 [")
    assert "Unreadable(" in told[mixed]
    assert told["bytearray"].startswith("1 [")
    assert told["BytesIO"].startswith("1 [")
    assert told["fps=0"].startswith("ValueError expected fps over 0")
    assert told["fps=-1"].startswith("ValueError expected fps over 0")


def test_a_forked_child_answers() -> None:
    assert _run_script("fork_hang.py") == ["parent [1, 1]", "child [1, 1]"]
