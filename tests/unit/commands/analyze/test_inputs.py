"""From what stands on a command line to single pictures, videos and cameras."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path, PurePath

import pytest

from agegender.commands.analyze.inputs import Input, find_inputs
from agegender.shared.errors import SettingsError
from tests.support.faces import ASTRONAUT


def tree(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def shown(sources: list[Input], folder: Path) -> list[str]:
    return [source.shown.removeprefix(f"{folder}{os.sep}") for source in sources]


def test_a_folder_is_searched_recursively_by_name(tmp_path: Path) -> None:
    tree(tmp_path, "b.jpg", "a.PNG", "c/d/e.webp", "c/clip.MOV", "notes.txt", "ü ñ 空.jpeg")
    sources = find_inputs([str(tmp_path)])
    assert shown(sources, tmp_path) == ["a.PNG", "b.jpg", "ü ñ 空.jpeg", "c/clip.MOV", "c/d/e.webp"]
    assert [source.kind for source in sources] == ["picture", "picture", "picture", "video", "picture"]


def test_hidden_files_and_the_folder_of_copies_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "copies/a.jpg", "sub/copies/c.jpg")
    sources = find_inputs([str(tmp_path)], leave_out=tmp_path / "copies")
    assert shown(sources, tmp_path) == ["a.jpg", "sub/copies/c.jpg"]


def test_globs_are_expanded_but_existing_names_are_kept(tmp_path: Path) -> None:
    tree(tmp_path, "one.jpg", "two.jpg", "x/three.jpg", "what?[1].jpg", "two.txt")
    assert shown(find_inputs([f"{tmp_path}/*o.jpg"]), tmp_path) == ["two.jpg"]
    assert shown(find_inputs([f"{tmp_path}/**/t*.jpg"]), tmp_path) == ["two.jpg", "x/three.jpg"]
    assert shown(find_inputs([f"{tmp_path}/what?[1].jpg"]), tmp_path) == ["what?[1].jpg"]


def test_missing_and_empty_inputs_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    names = [str(tmp_path / "none*.jpg"), str(ASTRONAUT), str(tmp_path / "empty")]
    nothing, picture, empty = find_inputs(names)
    assert (nothing.kind, nothing.problem) == ("nothing", "no file has such a name")
    assert picture.kind == "picture"
    assert (empty.kind, empty.problem) == ("nothing", "no picture and no video in this folder")


def test_an_unknown_suffix_is_resolved_by_the_content(tmp_path: Path) -> None:
    shutil.copy(ASTRONAUT, tmp_path / "photo")
    (tmp_path / "noise").write_bytes(bytes(100))
    assert [one.kind for one in find_inputs([str(tmp_path / "photo"), str(tmp_path / "noise")])] == [
        "picture",
        "video",
    ]


def test_a_file_named_twice_is_analyzed_once(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    assert len(find_inputs([str(tmp_path), str(tmp_path / "a.jpg"), f"{tmp_path}/*.jpg"])) == 2


def test_copies_never_share_a_name_and_tell_their_format(tmp_path: Path) -> None:
    tree(tmp_path, "x/a.jpg", "y/a.jpg", "x/a.tif", "x/clip.mov", "x/clip.mp4", "x/in/a.jpg")
    sources = find_inputs([str(tmp_path / "x"), str(tmp_path / "y")])
    copies = [source.copy for source in sources]
    assert copies == [
        PurePath(name) for name in ("a.jpg", "a.tif.jpg", "clip.mov.mp4", "clip.mp4", "in/a.jpg", "a-2.jpg")
    ]


def test_copies_have_different_names_without_regard_to_case(tmp_path: Path) -> None:
    tree(tmp_path, "x/IMG.jpg", "y/img.JPG")
    sources = find_inputs([str(tmp_path / "x"), str(tmp_path / "y")])
    assert [str(source.copy) for source in sources] == ["IMG.jpg", "img-2.JPG"]


def test_cameras_are_told_from_files_and_lose_their_login() -> None:
    url, webcam, other = find_inputs(["rtsp://user:sesame@192.0.2.1/a", "webcam:1"], webcam=0, fps=2.0)
    assert [one.kind for one in (url, webcam, other)] == ["live"] * 3
    assert "sesame" not in f"{url.shown}{url.copy}{url.key}"
    assert url.camera is not None
    assert (url.camera.username, url.camera.fps) == ("user", 2.0)
    assert other.camera is not None
    assert other.camera.webcam_index == 0


def test_a_url_of_another_kind_is_refused_without_its_login() -> None:
    with pytest.raises(SettingsError, match="expected rtsp://") as error:
        find_inputs(["http://user:sesame@192.0.2.1/a"])
    assert "sesame" not in str(error.value)


_LONG = "x" * 300  # too long for any file system: even root may not look at it


@pytest.mark.parametrize("name", [_LONG, f"{_LONG}.jpg", f"{_LONG}/a.jpg", f"*{_LONG}.jpg"])
def test_an_inaccessible_name_is_kept_until_it_is_read(tmp_path: Path, name: str) -> None:
    refused, picture = find_inputs([str(tmp_path / name), str(ASTRONAUT)])
    assert refused.kind != "nothing"
    assert refused.path == tmp_path / name
    assert picture.path == ASTRONAUT


def test_so_is_one_that_a_glob_finds(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(_LONG)
    (source,) = find_inputs([f"{tmp_path}/*.jpg"])
    assert source.path == tmp_path / "link.jpg"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_a_name_that_is_no_text_is_found_and_shown(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg"))
    shutil.copy(ASTRONAUT, path)
    (source,) = find_inputs([str(tmp_path)])
    assert source.shown.endswith("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.jpg")
    assert source.path.exists()


def test_the_secrets_of_a_url_are_in_no_name() -> None:
    doors = [f"rtsp://h/user=a_password=hunter22_channel={number}" for number in (1, 2)]
    one, other = find_inputs(doors)
    assert (one.shown, one.key) == ("rtsp://h/user=a_password=***_channel=1",) * 2
    assert "hunter22" not in str(one.copy)
    assert one.copy != other.copy
    assert one.camera is not None
    assert one.camera.source == doors[0]
