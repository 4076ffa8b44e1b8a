"""Where copies go, and what they never replace."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from agegender.commands.analyze.copy_folder import NAMES, CopyFolder
from agegender.commands.analyze.inputs import Input, find_inputs
from agegender.commands.analyze.writing import CannotWrite


def originals(*paths: Path) -> list[Input]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("an original")
    return find_inputs([str(path) for path in paths]).sources


def test_copies_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    (photo,) = originals(tmp_path / "ü\n.jpg")
    path = CopyFolder(tmp_path / "copies", [photo]).path_for(photo)
    assert path == tmp_path / "copies" / "ü\n.jpg"
    path.write_text("half a copy")
    with (tmp_path / "copies" / NAMES).open("a") as file:
        file.write('\n"cut o')
    (other,) = originals(tmp_path / "2.jpg")
    CopyFolder(tmp_path / "copies", [other]).path_for(other).write_text("a copy")
    again = CopyFolder(tmp_path / "copies", [photo, other])
    assert again.path_for(photo) == path
    assert again.path_for(other) == tmp_path / "copies" / "2.jpg"


def test_no_file_that_is_no_copy_is_replaced(tmp_path: Path) -> None:
    photo, other = originals(tmp_path / "1.jpg", tmp_path / "2.jpg")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "1.jpg").write_text("not a copy")
    (tmp_path / "album" / "2.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    folder = CopyFolder(tmp_path / "album", [photo, other])
    for source in (photo, other):
        with pytest.raises(CannotWrite, match="is there already and no copy of an earlier run: move it"):
            folder.path_for(source)


def test_no_source_of_the_run_is_replaced_under_any_of_its_names(tmp_path: Path) -> None:
    first, second = originals(tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg")
    with pytest.raises(CannotWrite, match=r"would replace the original '.*b/1\.jpg': choose another folder"):
        CopyFolder(tmp_path / "b", [first, second]).path_for(first)
    copies = CopyFolder(tmp_path / "copies", [first])
    copies.path_for(first).hardlink_to(second.path)
    with pytest.raises(CannotWrite, match="would replace the original"):
        CopyFolder(tmp_path / "copies", [first, second]).path_for(first)


def test_a_copy_that_is_analyzed_itself_is_not_replaced(tmp_path: Path) -> None:
    (photo,) = originals(tmp_path / "1.jpg")
    copy = CopyFolder(tmp_path / "copies", [photo]).path_for(photo)
    copy.write_text("a copy")
    again = Input(str(copy), "picture", PurePath("1.jpg"), path=copy)
    with pytest.raises(CannotWrite, match="would replace the original"):
        CopyFolder(tmp_path / "copies", [again]).path_for(again)


def test_the_list_of_copies_holds_only_their_names(tmp_path: Path) -> None:
    sources = originals(tmp_path / "secret" / "1.jpg", tmp_path / "secret" / "2.jpg")
    folder = CopyFolder(tmp_path / "copies", sources)
    for source in sources:
        folder.path_for(source)
        folder.path_for(source)
    assert (tmp_path / "copies" / NAMES).read_text().split() == ['"1.jpg"', '"2.jpg"']
