"""What a run remembers for the one that goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agegender.analysis.journal import Journal
from shared.errors import SettingsError


def test_what_was_done_is_known_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = Journal(path, resume=False)
    first.add("a", 100, failed=False)
    first.add("ü\n\udcff", 250, failed=False)
    first.add("b", 300, failed=True)
    first.close(finished=False)
    second = Journal(path, resume=True)
    assert [second.is_done(key) for key in ("a", "ü\n\udcff", "b", "c")] == [True, True, False, False]
    assert (second.output_bytes, second.done_count) == (300, 2)
    second.add("b", 400, failed=False)
    second.close(finished=False)
    third = Journal(path, resume=True)
    third.close(finished=True)
    assert third.is_done("b")


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = Journal(path, resume=False)
    first.add("a", 100, failed=False)
    first.add("b", 200, failed=False)
    first.close(finished=False)
    os.truncate(path, path.stat().st_size - 5)
    second = Journal(path, resume=True)
    assert (second.is_done("a"), second.is_done("b"), second.output_bytes) == (True, False, 100)
    second.add("b", 210, failed=False)
    second.close(finished=False)
    third = Journal(path, resume=True)
    third.close(finished=True)
    assert third.output_bytes == 210


def test_a_run_that_came_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    Journal(path, resume=False).close(finished=True)
    assert not path.exists()


def test_an_unfinished_run_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    Journal(path, resume=False).close(finished=False)
    with pytest.raises(SettingsError, match=r"go on with --resume, or remove that file"):
        Journal(path, resume=False)


@pytest.mark.parametrize("content", ["a text\n", "[]\n", "{}\n", '{"source": "a", "output_bytes": "x"}\n'])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "out.journal"
    path.write_text(content)
    with pytest.raises(SettingsError, match="is no journal"):
        Journal(path, resume=True)
