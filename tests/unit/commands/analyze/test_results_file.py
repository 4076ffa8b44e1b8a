"""The file of rows: each source in it once, after any end of earlier runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import pytest

from agegender.analysis.people import Person
from agegender.commands.analyze.inputs import Input
from agegender.commands.analyze.results_file import ResultsFile
from agegender.commands.analyze.rows import CsvRows, JsonRows, Summary, Totals
from agegender.shared.errors import SettingsError

DONE = Summary(sources=0, failed=0)


def source(name: str) -> Input:
    return Input(name, "video", PurePath(name), path=Path("/videos", name))


def person(number: int) -> Person:
    return Person(str(number), 0.0, 1.0, 5, 5, 30.0, (20.0, 40.0), "female", 0.9, "nets-1")


@contextmanager
def results_in(path: Path, *, resume: bool = False, csv: bool = False) -> Iterator[ResultsFile]:
    results = ResultsFile(
        CsvRows if csv else JsonRows, sys.stdout, path, None, options={"rows": str(csv)}, resume=resume
    )
    try:
        yield results
    finally:
        results.close()


def work(results: ResultsFile, name: str, people: int, error: str | None = None) -> None:
    """Writes what is found in a video; one that breaks off has people too."""
    for number in range(people):
        results.rows.person(name, person(number))
    results.end(source(name), Totals(frames=5, people=people, error=error))


def told(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["source"], row["record"]) for row in rows if row["record"] != "summary"]


def test_what_failed_stands_at_the_end_until_it_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with results_in(path) as results:
        work(results, "a", people=1)
        work(results, "b", people=3, error="broken after 8 s")
        work(results, "c", people=0)
        work(results, "d", people=0, error="no video")
        results.finish(DONE, failed=True)
    done = [("a", "person"), ("a", "source"), ("c", "source")]
    assert told(path) == [*done, *[("b", "person")] * 3, ("b", "source"), ("d", "source")]
    with results_in(path, resume=True) as results:
        assert [results.is_done(source(name)) for name in "abcd"] == [True, False, True, False]
        work(results, "b", people=4)
        work(results, "d", people=0, error="no video")
        results.finish(DONE, failed=True)
    done += [*[("b", "person")] * 4, ("b", "source")]
    assert told(path) == [*done, ("d", "source")]
    with results_in(path, resume=True) as results:
        work(results, "d", people=0)
        results.finish(DONE, failed=False)
    assert told(path) == [*done, ("d", "source")]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_killed", [True, False])
def test_interrupted_and_failed_videos_have_their_rows_once(tmp_path: Path, is_killed: bool) -> None:
    path = tmp_path / "rows.jsonl"
    with results_in(path) as results:
        work(results, "a", people=2)
        work(results, "b", people=2, error="broken after 8 s")
        results.rows.person("c", person(0))
        results.leave()
        if not is_killed:
            results.finish(None, failed=True)
    with results_in(path, resume=True) as results:
        work(results, "b", people=2)
        work(results, "c", people=1)
        results.finish(DONE, failed=False)
    persons = [name for name, record in told(path) if record == "person"]
    assert persons == ["a", "a", "b", "b", "c"]


def test_a_heading_is_there_once_also_where_everything_failed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for resume in (False, True, True):
        with results_in(path, resume=resume, csv=True) as results:
            work(results, "a", people=1, error="broken after 8 s")
            results.finish(DONE, failed=True)
        records = [line.split(",")[0] for line in path.read_text().splitlines()]
        assert records == ["record", "person", "source"]


def test_a_finished_run_is_not_repeated_by_resume(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with results_in(path, resume=True) as results:  # nothing is there yet: as good as without
        work(results, "a", people=1)
        results.finish(DONE, failed=False)
    before = path.read_bytes()
    with (
        pytest.raises(SettingsError, match=r"rows\.jsonl\.journal.*has come to its end: leave out --resume"),
        results_in(path, resume=True),
    ):
        pass
    assert path.read_bytes() == before
    with results_in(path) as results:
        work(results, "b", people=0)
        results.finish(DONE, failed=False)
    assert told(path) == [("b", "source")]


def test_other_options_are_refused_and_the_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with results_in(path) as results:
        work(results, "a", people=1)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"rows False, now True"), results_in(path, resume=True, csv=True):
        pass
    assert path.read_bytes() == before


def test_a_file_shorter_than_the_earlier_run_left_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with results_in(path) as results:
        work(results, "a", people=1)
    path.write_text("")
    with pytest.raises(SettingsError, match="too short"), results_in(path, resume=True):
        pass
