"""Faces are linked over time by their boxes alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.services.detect.tracking.checkpoint import TrackerState
from agegender.services.detect.tracking.tracker import MOST_TRACKS, Track, Tracker
from agegender.shared.messages.pipeline import BoxXyxy


def box(x: float, y: float = 100.0, side: float = 40.0) -> BoxXyxy:
    return (x, y, x + side, y + side)


def numbers(tracks: list[Track]) -> list[int | None]:
    return [track.number for track in tracks]


def feed(tracker: Tracker, start_s: float, frames: list[list[BoxXyxy]], step_s: float = 0.2) -> list[Track]:
    tracks: list[Track] = []
    for index, boxes in enumerate(frames):
        tracks = tracker.update(boxes, start_s + index * step_s)
    return tracks


def test_a_track_is_confirmed_with_its_third_face() -> None:
    tracker = Tracker()
    seen = [tracker.update([box(100 + 3 * i)], 0.2 * i) for i in range(4)]
    assert seen[0][0] is seen[3][0]
    assert (seen[3][0].number, seen[3][0].frames) == (1, 4)
    assert numbers(feed(Tracker(), 0, [[box(100)], [box(100)]])) == [None]


def test_a_single_false_detection_confirms_no_track() -> None:
    tracker = Tracker()
    assert tracker.update([], 0.0) == []
    (slip,) = tracker.update([box(500)], 0.2)
    feed(tracker, 0.4, [[], [], [], []])
    assert slip.ended
    assert slip.number is None
    assert numbers(feed(tracker, 1.4, [[box(100)]] * 3)) == [1]


def test_a_face_lost_for_under_two_seconds_keeps_its_track() -> None:
    tracker = Tracker()
    feed(tracker, 0, [[box(100)]] * 5)
    feed(tracker, 1.0, [[]] * 8)
    assert numbers(tracker.update([box(112)], 2.6)) == [1]


def test_after_more_than_two_seconds_it_is_a_new_track() -> None:
    tracker = Tracker()
    feed(tracker, 0, [[box(100)]] * 5)
    feed(tracker, 1.0, [[]] * 12)
    assert numbers(feed(tracker, 3.4, [[box(100)]] * 3)) == [2]


def test_the_order_of_boxes_does_not_swap_neighbours() -> None:
    tracker = Tracker()
    first = feed(tracker, 0, [[box(100), box(150)]] * 3)
    second = tracker.update([box(150), box(100)], 0.6)
    assert numbers(first) == [1, 2]
    assert numbers(second) == [2, 1]


@pytest.mark.parametrize("apart_px", [0.0, 18.0])
def test_people_who_pass_each_other_keep_their_numbers(apart_px: float) -> None:
    tracker = Tracker()
    step = 12.0
    for i in range(30):
        walkers = [box(100 + step * i, y=100), box(448 - step * i, y=100 + apart_px)]
        tracks = tracker.update(walkers, 0.1 * i)
    assert numbers(tracks) == [1, 2]


def test_a_fast_face_is_tracked_without_overlapping_boxes() -> None:
    tracker = Tracker()
    tracks = feed(tracker, 0, [[box(100 + 30 * i)] for i in range(10)])
    assert numbers(tracks) == [1]
    assert tracks[0].frames == 10


def test_a_face_far_away_or_of_another_size_is_another_person() -> None:
    tracker = Tracker()
    feed(tracker, 0, [[box(100)]] * 3)
    assert numbers(tracker.update([box(400)], 0.6)) == [None]
    assert numbers(tracker.update([box(60, 60, side=120)], 0.8)) == [None]


@pytest.mark.parametrize("every_s", [0.2, 0.8, 1.6, 4.0])
def test_people_that_stay_keep_their_tracks_at_any_rate(every_s: float) -> None:
    """The rate falls at once, as under a sudden overload, and the faces move a little."""
    tracker, numbers = Tracker(), set[int | None]()
    times_s = [100.0 + 0.2 * step for step in range(10)]
    times_s += [times_s[-1] + every_s * step for step in range(1, 30)]
    for step, time_s in enumerate(times_s):
        tracks = tracker.update([box(100 + 5 * (step % 3)), box(400 - 4 * (step % 2))], time_s)
        numbers |= {one.number for one in tracks}
    assert numbers == {None, 1, 2}


def test_a_stall_of_some_seconds_ends_no_track() -> None:
    tracker = Tracker()
    for step in range(5):
        (before,) = tracker.update([box(100)], 100 + step / 5)
    (after,) = tracker.update([box(110)], 107.0)
    assert after is before


def test_a_person_gone_after_a_stall_is_missed_after_three_looks() -> None:
    tracker = Tracker()
    for step in range(5):
        tracker.update([box(100)], 100 + step / 5)
    for step in range(3):
        assert len(tracker.tracks) == 1
        tracker.update([], 107.0 + step / 5)
    assert tracker.tracks == []


@pytest.mark.parametrize("jump_s", [-5.0, 60.0])
def test_a_jump_of_the_clock_ends_all_tracks(jump_s: float) -> None:
    tracker = Tracker()
    (before,) = feed(tracker, 100.0, [[box(100)]] * 4)
    (after,) = tracker.update([box(100)], 100.6 + jump_s)
    assert before.ended
    assert after is not before


def test_confirmed_tracks_are_either_alive_or_ended() -> None:
    tracker = Tracker()
    one, other = feed(tracker, 0, [[box(100), box(300)]] * 4)
    feed(tracker, 0.8, [[box(100), box(500)]])
    assert tracker.tracks == [one, other]
    assert tracker.take_ended() == []
    feed(tracker, 1.0, [[box(100)]] * 15)
    assert tracker.tracks == [one]
    assert tracker.take_ended() == [other]
    assert tracker.take_ended() == []
    tracker.end()
    assert tracker.tracks == []
    assert tracker.take_ended() == [one]


@pytest.mark.parametrize("step_s", [1 / 60, 0.2, 1.0, 5.0])
def test_people_are_followed_at_any_rate_of_frames(step_s: float) -> None:
    tracks = feed(Tracker(), 0, [[box(100)]] * 3 + [[]] + [[box(103)]], step_s)
    assert numbers(tracks) == [1]


@given(
    st.lists(
        st.tuples(
            st.floats(-10, 100, allow_nan=False),
            st.lists(st.tuples(*[st.floats(-1e6, 1e6, allow_nan=False)] * 4), max_size=5),
        ),
        max_size=12,
    )
)
def test_any_boxes_get_a_track_each(frames: list[tuple[float, list[BoxXyxy]]]) -> None:
    tracker = Tracker()
    for time_s, boxes in frames:
        tracks = tracker.update(boxes, time_s)
        assert len({id(track) for track in tracks}) == len(boxes)


def walkers(frames: int, seed: int = 0) -> list[list[BoxXyxy]]:
    """Five people who walk; the detector misses each face now and then."""
    rng = np.random.default_rng(seed)
    starts, speeds = rng.uniform(0, 600, (5, 2)), rng.uniform(-15, 15, (5, 2))
    places = [starts + speeds * index + rng.normal(0, 2, (5, 2)) for index in range(frames)]
    return [[box(float(x), float(y)) for x, y in place[rng.random(5) > 0.2]] for place in places]


def history(tracks: list[Track]) -> list[tuple[int | None, BoxXyxy, float, int, tuple[float, float]]]:
    return [(t.number, t.box_xyxy, t.first_s, t.frames, t.velocity_xy) for t in tracks]


@pytest.mark.parametrize("break_at", [0, 1, 2, 7, 30])
def test_a_restored_tracker_goes_on_exactly_as_before(break_at: int) -> None:
    whole, broken = Tracker(), Tracker()
    for index, boxes in enumerate(walkers(60)):
        if index == break_at:
            kept = broken.state().model_dump_json()
            broken = Tracker.restored(TrackerState.model_validate_json(kept))
        assert history(whole.update(boxes, index / 7)) == history(broken.update(boxes, index / 7))
        assert history(whole.tracks) == history(broken.tracks)
    assert history(whole.take_ended()) == history(broken.take_ended())
    whole.end()
    broken.end()
    assert history(whole.take_ended()) == history(broken.take_ended()) != []


def test_a_restored_tracker_still_notices_a_clock_jump() -> None:
    tracker = Tracker()
    feed(tracker, 0, [[box(100)]] * 3)
    state = tracker.state()
    restored = Tracker.restored(state)
    assert restored.state() == state
    restored.update([box(100)], 60.0)
    assert [track.number for track in restored.take_ended()] == [1]


def test_the_pace_of_a_face_is_known_from_its_second_sight() -> None:
    (track,) = feed(Tracker(), 0, [[box(100)], [box(160, 90)]])
    assert track.velocity_xy == pytest.approx((300.0, -50.0))


def test_a_restored_tracker_returns_tracks_that_had_ended() -> None:
    tracker = Tracker()
    feed(tracker, 0, [[box(100)]] * 3)
    tracker.end()
    restored = Tracker.restored(tracker.state())
    assert [track.number for track in restored.take_ended()] == [1]
    assert numbers(feed(restored, 1.0, [[box(300)]] * 3)) == [2]


def test_the_number_of_tracks_is_limited() -> None:
    tracker = Tracker()
    people = [box(50.0 * i, 9_000) for i in range(5)]
    feed(tracker, 0, [people] * 3)
    rng = np.random.default_rng(0)
    for index in range(10):
        slips = [box(float(x), float(y)) for x, y in rng.uniform(0, 8_000, (600, 2))]
        tracks = tracker.update([*people, *slips], 0.6 + 0.2 * index)
        assert len(tracks) == 605
        state = tracker.state()
        assert len(state.tracks) <= MOST_TRACKS
    assert numbers(tracks[:5]) == [1, 2, 3, 4, 5]


def test_surplus_faces_never_displace_confirmed_tracks() -> None:
    tracker = Tracker()
    crowd = [box(50.0 * i) for i in range(MOST_TRACKS + 50)]
    feed(tracker, 0, [crowd[-20:]] * 3)
    tracks = tracker.update(crowd, 0.6)
    assert sum(track.ended for track in tracks) == 50
    assert not any(track.ended for track in tracks[-20:])


def test_in_a_surplus_only_kept_tracks_are_confirmed() -> None:
    tracker = Tracker(confirm_frames=1)
    tracks = tracker.update([box(50.0 * i) for i in range(MOST_TRACKS + 50)], 0.0)
    assert sum(track.number is not None for track in tracks) == len(tracker.tracks) == MOST_TRACKS
    assert tracker.take_ended() == []
    assert tracker.state().confirmed == MOST_TRACKS


def test_thousands_of_tracks_leave_only_their_count() -> None:
    tracker = Tracker()
    taken = 0
    for confirmed_track in range(1_200):
        feed(tracker, confirmed_track * 0.75, [[box(confirmed_track % 7 * 100.0)]] * 3, step_s=0.25)
        assert len(tracker.state().tracks) <= 7
        taken += len(tracker.take_ended())
    assert taken + len(tracker.tracks) == tracker.state().confirmed > 1_000
    for confirmed_track in range(MOST_TRACKS + 200):
        feed(tracker, 5_000 + confirmed_track * 5.0, [[box(confirmed_track % 7 * 100.0)]] * 3)
        tracker.end()
    assert len(tracker.take_ended()) == MOST_TRACKS


def test_a_thousand_faces_are_tracked_in_time() -> None:
    tracker = Tracker()
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 4_000, (1_000, 2))
    for index in range(3):
        moved = places + rng.normal(0, 2, (1_000, 2))
        began_s = time.perf_counter()
        tracker.update([box(float(x), float(y)) for x, y in moved], index / 5)
        took_s = time.perf_counter() - began_s
    assert len(tracker.tracks) > 0.9 * MOST_TRACKS
    assert took_s < 5
