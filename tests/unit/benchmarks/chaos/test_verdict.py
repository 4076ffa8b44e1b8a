"""The verdict of `make chaos` names everything that is lost, doubled or strange, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agegender.shared.messages.visits import Visit
from benchmarks.chaos.verdict import Found, check, late_frames
from tests.support.made_messages import frame_info

FRAMES = [frame_info(camera, stream, n) for camera in ("a", "b") for stream in ("s1", "s2") for n in range(3)]


def visit(camera: str, name: str, frames: int = 3) -> Visit:
    return Visit(
        camera_id=camera,
        track_id=name,
        first_seen_s=1_700_000_000.0,
        last_seen_s=1_700_000_001.0,
        clock="camera",
        frames=frames,
        faces_classified=0,
        unclassified="not-yet",
        closed="left",
    )


VISITS = [visit(c, f"{stream}-0-{n}") for c in ("a", "b") for stream in ("s1", "s2") for n in (1, 2)]
RIGHT = Found(
    frames=FRAMES,
    results=[f"{frame.frame_id}/{index}" for frame in FRAMES for index in (0, 1)],
    visits=VISITS,
    closed=VISITS,
    counted=len(VISITS),
)


def test_what_is_right_is_clean_also_where_a_frame_came_twice() -> None:
    assert check(RIGHT).is_clean
    assert check(replace(RIGHT, frames=[*FRAMES, FRAMES[0]])).is_clean


def test_a_run_without_any_frame_is_clean() -> None:
    assert check(Found([], [], [], [], 0)).is_clean


Change = Callable[[Found], Found]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda f: replace(f, results=f.results[1:]), ["lost: 1 faces of published frames"]),
        (lambda f: replace(f, results=[*f.results, f.results[0]]), ["doubled: 1 faces in the store"]),
        (
            lambda f: replace(f, results=[*f.results, "a/s1/9/0"]),
            ["unexplained: 1 faces that no published frame has"],
        ),
        (
            lambda f: replace(f, visits=[visit("a", "s1-0-1", frames=2), *f.visits[1:]]),
            ["unexplained: 1 faces too many or too few for the visits of their stream"],
        ),
        (
            lambda f: replace(f, closed=f.closed[1:]),
            ["lost: 1 visits that were never closed"],
        ),
        (
            lambda f: replace(f, closed=[*f.closed, f.closed[0]]),
            ["doubled: 1 times a visit was closed again"],
        ),
        (
            lambda f: replace(f, counted=f.counted + 1),
            ["unexplained: 1 visits too many or too few in the counts"],
        ),
    ],
)
def test_one_thing_that_is_wrong_is_named(change: Change, sentences: list[str]) -> None:
    assert check(change(RIGHT)).sentences() == sentences


def test_a_person_who_was_split_in_two_is_doubled() -> None:
    split = [visit("a", "s1-0-1", frames=1), visit("a", "s1-2-1", frames=2), *VISITS[1:]]
    found = replace(RIGHT, visits=split, closed=split, counted=len(split))
    assert check(found).sentences() == ["doubled: 1 visits"]


def test_a_late_frame_of_an_old_stream_gives_no_faces_or_visits() -> None:
    late = FRAMES[2]
    frames = [*FRAMES[:2], FRAMES[3], late, *FRAMES[4:]]
    assert late_frames(frames) == {late.frame_id}
    results = [one for one in RIGHT.results if not one.startswith(f"{late.frame_id}/")]
    visits = [*(visit("a", f"s1-0-{n}", 2) for n in (1, 2)), *VISITS[2:]]
    found = Found(frames, results, visits, visits, len(visits))
    assert check(found).sentences() == []
    again = [*visits, *(visit("a", f"s2-1-{n}", 0) for n in (1, 2))]
    counted_again = replace(found, visits=again, closed=again, counted=len(again))
    assert check(counted_again).sentences() == ["doubled: 2 visits"]
    looked_at = replace(found, results=RIGHT.results)
    assert check(looked_at).sentences() == ["unexplained: 2 faces that no published frame has"]


def test_only_a_silent_camera_may_lack_its_last_frames() -> None:
    frames = [frame_info("a", "s1", n, 100.0 + n / 3) for n in range(9)]
    results = [f"{frame.frame_id}/{index}" for frame in frames for index in (0, 1)]
    for told, closed, off in ((9, "timed-out", 0), (7, "timed-out", 0), (6, "timed-out", 2), (8, "left", 2)):
        known = [visit("a", f"s1-0-{n}", told).model_copy(update={"closed": closed}) for n in (1, 2)]
        assert check(Found(frames, results, known, known, 2)).unexplained.total() == off, (told, closed)


def test_a_frame_that_comes_again_interrupts_nothing() -> None:
    again = [*FRAMES[:6], FRAMES[0], *FRAMES[6:]]
    assert late_frames(again) == set()


def test_a_person_who_was_never_stored_is_lost_with_all_faces() -> None:
    found = replace(RIGHT, visits=VISITS[1:], closed=VISITS[1:], counted=len(VISITS) - 1)
    assert check(found).lost == {"visits": 1}
    assert check(found).unexplained.total() == 3


def test_visits_of_an_unpublished_stream_are_unexplained() -> None:
    stranger = visit("a", "s9-0-1")
    found = replace(RIGHT, visits=[*VISITS, stranger], closed=[*VISITS, stranger], counted=len(VISITS) + 1)
    assert check(found).sentences() == ["unexplained: 1 visits of no published stream"]


LIVE = replace(RIGHT, live=frozenset("a"), oldest_s=20.0)


def without_first_frame_of(camera: str) -> Found:
    """Detect did not look at the first frame of this camera."""
    frame = next(one for one in FRAMES if one.camera_id == camera)
    short = [visit(camera, f"s1-0-{n}", 2) for n in (1, 2)]
    visits = [*short, *(one for one in VISITS if (one.camera_id, one.track_id[:2]) != (camera, "s1"))]
    results = [one for one in RIGHT.results if not one.startswith(f"{frame.frame_id}/")]
    return replace(LIVE, results=results, visits=visits, closed=visits)


def test_a_stale_frame_of_a_live_camera_is_left_out_if_counted() -> None:
    assert check(replace(without_first_frame_of("a"), left_out=1)).is_clean
    (sentence,) = check(without_first_frame_of("a")).sentences()
    assert sentence == "lost: 1 frames that detect neither looked at nor counted"
    assert check(replace(without_first_frame_of("b"), left_out=1)).lost.total() == 2


def test_a_frame_that_was_deleted_unread_is_not_expected() -> None:
    found = without_first_frame_of("b")
    (gone,) = {one.frame_id for one in FRAMES} - {name.rpartition("/")[0] for name in found.results}
    assert check(replace(found, unread=frozenset({gone}))).is_clean


def test_a_frame_over_the_deadline_is_late() -> None:
    found = replace(LIVE, ages_s=[1.0, 19.9, 20.1, 40.0, 40.0])
    assert check(found).sentences() == ["late: 3 faces of frames that were over the deadline"]
    assert check(replace(found, in_hand=2)).is_clean, "detect was halted with two frames in hand"


def test_two_women_before_a_camera_are_a_wrong_person() -> None:
    women = [one.model_copy(update={"gender": "female"}) for one in VISITS[:2]]
    (sentence,) = check(replace(RIGHT, visits=[*women, *VISITS[2:]])).sentences()
    assert sentence == "wrong persons: 1 persons of the wrong gender"
    man = women[1].model_copy(update={"gender": "male"})
    assert check(replace(RIGHT, visits=[women[0], man, *VISITS[2:]])).is_clean
