"""From what stands on a command line to single pictures, videos and cameras."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path, PurePath
from typing import Any

import cv2
import pytest

from agegender.commands.analyze.inputs import Input, Skipped, SkipReason, find_inputs
from agegender.shared.errors import SettingsError
from tests.support.faces import ASTRONAUT, astronaut, no_face, write_frames


def tree(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def sources_of(inputs: list[str], **options: Any) -> list[Input]:  # noqa: ANN401
    return find_inputs(inputs, **options).sources


def shown(sources: list[Input], folder: Path) -> list[str]:
    return [source.shown.removeprefix(f"{folder}{os.sep}") for source in sources]


def test_a_folder_is_searched_recursively_by_name(tmp_path: Path) -> None:
    tree(tmp_path, "b.jpg", "a.PNG", "c/d/e.webp", "c/clip.MOV", "notes.txt", "ü ñ 空.jpeg")
    sources = sources_of([str(tmp_path)])
    assert shown(sources, tmp_path) == ["a.PNG", "b.jpg", "ü ñ 空.jpeg", "c/clip.MOV", "c/d/e.webp"]
    assert [source.kind for source in sources] == ["picture", "picture", "picture", "video", "picture"]


def test_hidden_files_and_the_folder_of_copies_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "copies/a.jpg", "sub/copies/c.jpg")
    sources = sources_of([str(tmp_path)], leave_out=tmp_path / "copies")
    assert shown(sources, tmp_path) == ["a.jpg", "sub/copies/c.jpg"]


def test_globs_are_expanded_but_existing_names_are_kept(tmp_path: Path) -> None:
    tree(tmp_path, "one.jpg", "two.jpg", "x/three.jpg", "what?[1].jpg", "two.txt")
    assert shown(sources_of([f"{tmp_path}/*o.jpg"]), tmp_path) == ["two.jpg"]
    assert shown(sources_of([f"{tmp_path}/**/t*.jpg"]), tmp_path) == ["two.jpg", "x/three.jpg"]
    assert shown(sources_of([f"{tmp_path}/what?[1].jpg"]), tmp_path) == ["what?[1].jpg"]


def test_missing_and_empty_inputs_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    names = [str(tmp_path / "none*.jpg"), str(ASTRONAUT), str(tmp_path / "empty")]
    nothing, picture, empty = sources_of(names)
    assert (nothing.kind, nothing.problem) == ("nothing", "no file has such a name")
    assert picture.kind == "picture"
    assert (empty.kind, empty.problem) == ("nothing", "no picture and no video in this folder")


def test_an_unknown_suffix_is_resolved_by_the_content(tmp_path: Path) -> None:
    shutil.copy(ASTRONAUT, tmp_path / "photo")
    (tmp_path / "noise").write_bytes(bytes(100))
    assert [one.kind for one in sources_of([str(tmp_path / "photo"), str(tmp_path / "noise")])] == [
        "picture",
        "video",
    ]


def test_a_file_named_twice_is_analyzed_once(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    assert len(sources_of([str(tmp_path), str(tmp_path / "a.jpg"), f"{tmp_path}/*.jpg"])) == 2


def test_copies_never_share_a_name_and_tell_their_format(tmp_path: Path) -> None:
    tree(tmp_path, "x/a.jpg", "y/a.jpg", "x/a.tif", "x/clip.mov", "x/clip.mp4", "x/in/a.jpg")
    sources = sources_of([str(tmp_path / "x"), str(tmp_path / "y")])
    copies = [source.copy for source in sources]
    assert copies == [
        PurePath(name) for name in ("a.jpg", "a.tif.jpg", "clip.mov.mp4", "clip.mp4", "in/a.jpg", "a-2.jpg")
    ]


def test_copies_have_different_names_without_regard_to_case(tmp_path: Path) -> None:
    tree(tmp_path, "x/IMG.jpg", "y/img.JPG")
    sources = sources_of([str(tmp_path / "x"), str(tmp_path / "y")])
    assert [str(source.copy) for source in sources] == ["IMG.jpg", "img-2.JPG"]


def test_cameras_are_told_from_files_and_lose_their_login() -> None:
    url, webcam, other = sources_of(["rtsp://user:sesame@192.0.2.1/a", "webcam:1"], webcam=0, fps=2.0)
    assert [one.kind for one in (url, webcam, other)] == ["live"] * 3
    assert "sesame" not in f"{url.shown}{url.copy}{url.key}"
    assert url.camera is not None
    assert (url.camera.username, url.camera.fps) == ("user", 2.0)
    assert other.camera is not None
    assert other.camera.webcam_index == 0


def test_a_url_of_another_kind_is_refused_without_its_login() -> None:
    with pytest.raises(SettingsError, match="expected rtsp://") as error:
        sources_of(["http://user:sesame@192.0.2.1/a"])
    assert "sesame" not in str(error.value)


_LONG = "x" * 300  # too long for any file system: even root may not look at it


@pytest.mark.parametrize("name", [_LONG, f"{_LONG}.jpg", f"{_LONG}/a.jpg", f"*{_LONG}.jpg"])
def test_an_inaccessible_name_is_kept_until_it_is_read(tmp_path: Path, name: str) -> None:
    refused, picture = sources_of([str(tmp_path / name), str(ASTRONAUT)])
    assert refused.kind != "nothing"
    assert refused.path == tmp_path / name
    assert picture.path == ASTRONAUT


def test_so_is_one_that_a_glob_finds(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(_LONG)
    (source,) = sources_of([f"{tmp_path}/*.jpg"])
    assert source.path == tmp_path / "link.jpg"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_a_name_that_is_no_text_is_found_and_shown(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg"))
    shutil.copy(ASTRONAUT, path)
    (source,) = sources_of([str(tmp_path)])
    assert source.shown.endswith("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.jpg")
    assert source.path.exists()


def test_the_secrets_of_a_url_are_in_no_name() -> None:
    doors = [f"rtsp://h/user=a_password=hunter22_channel={number}" for number in (1, 2)]
    one, other = sources_of(doors)
    assert (one.shown, one.key) == ("rtsp://h/user=a_password=***_channel=1",) * 2
    assert "hunter22" not in str(one.copy)
    assert one.copy != other.copy
    assert one.camera is not None
    assert one.camera.source == doors[0]


def test_files_of_a_folder_are_told_apart_by_their_content(tmp_path: Path) -> None:
    for name in ("a.jfif", "b", "c.jpg_large", "d.mp4", "e.txt"):
        shutil.copy(ASTRONAUT, tmp_path / name)
    write_frames(tmp_path / "f.mkv", [(astronaut(), 0.0)])
    (tmp_path / "f.mkv").rename(tmp_path / "f.jpg")
    (tmp_path / "g.y4m").write_bytes(b"YUV4MPEG2 W2 H2 F25:1 C420jpeg\nFRAME\n" + bytes(6))
    assert [(one.path.name, one.kind) for one in sources_of([str(tmp_path)])] == [
        *((name, "picture") for name in ("a.jfif", "b", "c.jpg_large", "d.mp4", "e.txt")),
        ("f.jpg", "video"),
        ("g.y4m", "video"),
    ]


def test_each_skipped_file_is_named_with_the_reason(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "notes.txt", ".hidden.jpg", "sub/b.jpg")
    (tmp_path / "page.svg").write_text("<svg width='9' height='9'></svg>")
    (tmp_path / "linked").symlink_to(tmp_path / "sub")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.jpg")
    found = find_inputs([str(tmp_path), str(tmp_path)])
    assert shown(found.sources, tmp_path) == ["a.jpg", "sub/b.jpg"]
    assert {(Path(one.shown).name, one.reason) for one in found.skipped} == {
        ("notes.txt", SkipReason.UNKNOWN),
        ("page.svg", SkipReason.UNKNOWN),
        (".hidden.jpg", SkipReason.HIDDEN),
        ("linked", SkipReason.LINK),
        ("dangling", SkipReason.LINK),
        ("pipe.jpg", SkipReason.SPECIAL),
    }
    assert len(found.skipped) == 6


def test_a_fifo_that_a_glob_finds_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    found = find_inputs([f"{tmp_path}/*.jpg"])
    assert found.sources == []
    assert found.skipped == [Skipped(str(tmp_path / "pipe.jpg"), SkipReason.SPECIAL)]


def test_a_device_is_no_file() -> None:
    (source,) = sources_of(["/dev/null"])
    assert (source.kind, source.problem) == ("nothing", "a device or socket, no file")


def test_each_page_of_a_tiff_is_a_picture_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    cv2.imwritemulti(str(path), [no_face(), astronaut(), no_face()])
    sources = sources_of([str(path)])
    assert [one.page for one in sources] == [0, 1, 2]
    assert sources[1].shown == f"{path}, page 2"
    assert len({one.key for one in sources}) == len({one.copy for one in sources}) == 3


def test_animated_pictures_are_videos(tmp_path: Path) -> None:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(one, cv2.COLOR_BGR2BGRA) for one in (no_face(), astronaut()[:48, :64])]
    animation.durations = [100, 100]
    for suffix in (".gif", ".webp", ".png", ".avif"):
        assert cv2.imwriteanimation(str(tmp_path / f"moves{suffix}"), animation)
        cv2.imwrite(str(tmp_path / f"still{suffix}"), no_face())
    kinds = {one.path.name: one.kind for one in sources_of([str(tmp_path)])}
    assert {kinds[f"moves{suffix}"] for suffix in (".gif", ".webp", ".png", ".avif")} == {"video"}
    assert {kinds[f"still{suffix}"] for suffix in (".gif", ".webp", ".png", ".avif")} == {"picture"}
