"""The arithmetic of the audit: what is consistent balances, and each single number that is wrong is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agegender.commands.audit.reconciliation import (
    Amount,
    Arrival,
    Balance,
    CameraCounts,
    Captured,
    Flow,
    StoredFaces,
    balances,
    sentences,
)
from agegender.commands.audit.report import Report, totals

number = st.integers(0, 10_000)
REASONS = ("busy", "stale", "oversize")


@st.composite
def flows(draw: st.DrawFn, *, forgets: bool = False) -> Flow:
    done, waiting, dead = draw(number), draw(number), draw(number)
    forgotten = draw(number) if forgets else 0
    sent = done + waiting + dead + forgotten
    return Flow(sent, done, waiting, dead, forgotten, repeats=draw(number))


@st.composite
def consistent(draw: st.DrawFn) -> CameraCounts:
    """Counts of a camera that add up."""
    published, written = draw(number), draw(number)
    dropped = draw(st.dictionaries(st.sampled_from(REASONS), number))
    in_hand = draw(st.integers(0, 4))
    return CameraCounts(
        "door",
        Captured(published + sum(dropped.values()) + in_hand, published, dropped, in_hand_most=4),
        Arrival(published, published),
        draw(flows()),
        draw(number),
        draw(st.dictionaries(st.sampled_from(("low-quality", "enough")), number)),
        draw(flows()),
        draw(flows(forgets=True)),
        StoredFaces(written, written),
    )


@settings(max_examples=40, deadline=None)
@given(consistent())
def test_whatever_is_consistent_balances(counts: CameraCounts) -> None:
    assert sentences(balances(counts)) == []


Change = Callable[[CameraCounts, int], CameraCounts]


def _part(name: str, **by: int) -> Change:
    """Adds to numbers of one part of the counts, so many times."""

    def change(counts: CameraCounts, times: int) -> CameraCounts:
        part: Any = getattr(counts, name)
        changed = {key: getattr(part, key) + each * times for key, each in by.items()}
        return replace(counts, **{name: replace(part, **changed)})

    return change


FALSIFIED: Mapping[str, tuple[Change, str]] = {
    # Beyond the 4 frames that may be on their way.
    "captured": (_part("captured", captured=5), "captured and neither published nor dropped"),
    "published": (_part("captured", published=5), "published or dropped and never captured"),
    "arrived": (_part("arrival", published=1), "published and never reached the topic"),
    "in the topic": (_part("arrival", in_topic=1), "found in the topic and counted by no worker"),
    "frames": (_part("frames", sent=1), "published and neither processed nor waiting"),
    "processed": (_part("frames", done=1), "accounted for and never published"),
    "frames waiting": (_part("frames", waiting=1), "accounted for and never published"),
    "frames dead": (_part("frames", dead=1), "accounted for and never published"),
    "faces": (_part("faces", sent=1), "sent and neither classified nor waiting"),
    "faces of nothing": (_part("faces", orphans=1), "found in no published frame"),
    "classified": (_part("faces", done=1), "accounted for and never sent"),
    "faces waiting": (_part("faces", waiting=1), "accounted for and never sent"),
    "faces dead": (_part("faces", dead=1), "accounted for and never sent"),
    "results": (_part("results", sent=1), "sent and neither written nor waiting"),
    "results of nothing": (_part("results", orphans=1), "made of no face that was sent"),
    "written": (_part("results", done=1), "accounted for and never sent"),
    "results waiting": (_part("results", waiting=1), "accounted for and never sent"),
    "results dead": (_part("results", dead=1), "accounted for and never sent"),
    "forgotten": (_part("results", forgotten=1), "accounted for and never sent"),
    "taken away": (_part("stored", written=1), "written and taken out of the store since"),
    "listed": (_part("stored", listed=1), "found in the store and never written"),
    "put into the store": (_part("stored", orphans=1), "put into the store and never sent"),
}


@pytest.mark.parametrize("name", FALSIFIED)
@settings(max_examples=15, deadline=None)
@given(counts=consistent(), times=st.integers(1, 50))
def test_each_single_number_that_is_wrong_is_named(name: str, counts: CameraCounts, times: int) -> None:
    change, says = FALSIFIED[name]
    # None in hand, so that the whole falsification shows.
    found = sentences(balances(change(_with_nothing_in_hand(counts), times)))
    assert len(found) == 1, found
    assert says in found[0]
    assert "of camera door" in found[0]


def _with_nothing_in_hand(counts: CameraCounts) -> CameraCounts:
    assert counts.captured is not None
    one = counts.captured
    return replace(
        counts, captured=replace(one, captured=one.published + sum(one.dropped.values()), in_hand_most=0)
    )


@settings(max_examples=40, deadline=None)
@given(consistent(), st.sampled_from(REASONS), st.integers(1, 50))
def test_a_wrong_number_of_dropped_frames_is_named(counts: CameraCounts, reason: str, more: int) -> None:
    counts = _with_nothing_in_hand(counts)
    assert counts.captured is not None
    dropped = dict(counts.captured.dropped)
    dropped[reason] = dropped.get(reason, 0) + more
    wrong = replace(counts, captured=replace(counts.captured, dropped=dropped))
    (found,) = sentences(balances(wrong))
    assert found.startswith(f"{more} frame")


@settings(max_examples=40, deadline=None)
@given(consistent(), consistent())
def test_the_sums_of_all_cameras_balance_as_each_does(one: CameraCounts, other: CameraCounts) -> None:
    both = [*balances(one), *balances(replace(other, camera_id="hall"))]
    summed = totals(both)
    assert len(summed) == len(balances(one))
    assert sentences(summed) == []


def test_a_sentence_counts_and_names_the_camera() -> None:
    balance = Balance(
        "door", "frame", Amount("all", 4, ""), [Amount("some", 1, "")], lost="lost", extra="extra"
    )
    assert balance.sentence == "3 frames of camera door were lost"
    less = replace(balance, parts=[Amount("some", 5, "")], camera_id=None)
    assert less.sentence == "1 frame was extra"


def test_what_is_not_known_is_not_compared() -> None:
    assert balances(CameraCounts("door")) == []
    assert Report([]).balanced


def test_a_report_shows_every_number_and_its_source() -> None:
    flow = Flow(7, 5, 1, 0, repeats=2)
    counts = CameraCounts("door", Captured(9, 7, {"busy": 2}), frames=flow)
    report = Report(balances(counts), ["A note."], {"door": {"frames": 2}})
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(report.draw())
    text = console.export_text()
    for part in (
        "frames captured",
        "dropped: busy",
        "metrics of ingest",
        "2 frames of camera door came again",
    ):
        assert part in text
    assert "1 frame of camera door was published and neither processed nor waiting" in text
    record: Any = report.record()
    assert record["balanced"] is False
    assert record["cameras"]["door"][1]["missing"] == 1
    assert record["all"][0]["whole"] == {"name": "frames captured", "count": 9, "from": "metrics of ingest"}
