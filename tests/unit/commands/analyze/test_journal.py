"""What a run remembers for the one that goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agegender.commands.analyze.journal import Journal
from agegender.shared.errors import SettingsError

OPTIONS = {"rows": "--json", "--blur": "no"}


def opened(path: Path, *, resume: bool = False) -> Journal:
    return Journal(path, OPTIONS, resume=resume)


def test_what_was_done_is_known_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = opened(path)
    first.add("a", 100)
    first.add("ü\n\udcff", 250)
    first.close()
    second = opened(path, resume=True)
    assert [second.is_done(key) for key in ("a", "ü\n\udcff", "b")] == [True, True, False]
    assert second.output_bytes == 250
    second.add("b", 400)
    second.close()
    third = opened(path, resume=True)
    third.close()
    assert third.is_done("b")


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = opened(path)
    first.add("a", 100)
    first.add("b", 200)
    first.close()
    os.truncate(path, path.stat().st_size - 5)
    second = opened(path, resume=True)
    assert (second.is_done("a"), second.is_done("b"), second.output_bytes) == (True, False, 100)
    second.add("b", 210)
    second.close()
    third = opened(path, resume=True)
    third.close()
    assert third.output_bytes == 210


def test_a_run_killed_at_its_start_has_done_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    opened(path).close()
    os.truncate(path, path.stat().st_size - 5)
    Journal(path, {"rows": "--csv"}, resume=True).close()
    with pytest.raises(SettingsError, match=r"\(rows --csv, now --json; --blur unknown, now no\)"):
        opened(path, resume=True)


def test_a_run_in_which_nothing_failed_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    journal = opened(path)
    journal.end(failed=False)
    journal.close()
    assert not path.exists()


def test_a_run_with_failures_can_be_continued_or_started_again(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = opened(path)
    first.add("a", 100)
    first.end(failed=True)
    first.close()
    second = opened(path, resume=True)
    assert (second.is_done("a"), second.output_bytes) == (True, 100)
    second.add("b", 200)
    second.end(failed=True)
    second.close()
    anew = opened(path)
    anew.close()
    assert (anew.is_done("a"), anew.output_bytes) == (False, 0)
    again = opened(path, resume=True)
    again.close()
    assert (again.is_done("a"), again.is_done("b")) == (False, False)


def test_an_unfinished_run_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    first = opened(path)
    first.end(failed=True)
    first.close()
    opened(path, resume=True).close()
    with pytest.raises(SettingsError, match=r"go on with --resume, or remove that file"):
        opened(path)


def test_a_run_with_other_options_is_refused_and_told_which(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    opened(path).close()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"other options \(--blur no, now yes\): go on with the same"):
        Journal(path, {"rows": "--json", "--blur": "yes"}, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "a text\n",
        "[]\n",
        "{}\n",
        '{"source": "a", "output_bytes": 1}\n',
        '{"options": {"rows": "--json", "--blur": "no"}}\n{"source": "a", "output_bytes": "x"}\n',
    ],
)
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "out.journal"
    path.write_text(content)
    with pytest.raises(SettingsError, match="is no journal"):
        opened(path, resume=True)
