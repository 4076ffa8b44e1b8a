"""The confirmed tracks of a camera, and when a track update is due."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from agegender.services.detect.tracking.camera_tracks import (
    DEFAULT_LIMITS,
    FORGET_AFTER_S,
    CameraTracks,
    ConfirmedTrack,
    TrackLimits,
    TracksByCamera,
)
from agegender.shared.messages.pipeline import (
    BoxXyxy,
    Clock,
    FaceInfo,
    FrameInfo,
    TrackSummary,
    TrackUpdateInfo,
)
from agegender.shared.runtime.stage import SkipReason
from tests.support.made_messages import face_info, frame_info

START_S = 1_700_000_000.0


def box(x: float = 100.0, side: float = 60.0) -> BoxXyxy:
    return (x, 100.0, x + side, 100.0 + side)


def info_at(index: int, *, stream: str = "s1", step_s: float = 0.2, start_s: float = START_S) -> FrameInfo:
    return frame_info(stream_id=stream, sequence=index, captured_at_s=start_s + index * step_s)


class Watched:
    """The tracks of a camera, with all their track updates and the last confirmed tracks."""

    def __init__(self, limits: TrackLimits = DEFAULT_LIMITS) -> None:
        self.tracks = CameraTracks(limits)
        self.told: list[TrackUpdateInfo] = []
        self.confirmed: list[ConfirmedTrack | None] = []

    def see(self, info: FrameInfo, *boxes: BoxXyxy) -> TrackUpdateInfo | None:
        """Processes one frame, and returns its track update if one is due."""
        self.confirmed = self.tracks.update(info, boxes)
        if not self.tracks.is_update_due:
            return None
        self.told.append(self.tracks.take_update(info, info.captured_at_s + 0.1))
        return self.told[-1]

    @property
    def summaries(self) -> dict[str, TrackSummary]:
        """The newest summary of each track."""
        return {one.track_id: one for told in self.told for one in told.tracks}


def test_an_empty_scene_has_an_update_with_rate_each_second() -> None:
    camera = Watched()
    for index in range(26):
        camera.see(info_at(index))
    assert [told.frame.sequence for told in camera.told] == [0, 5, 10, 15, 20, 25]
    assert [told.frame_rate_hz for told in camera.told] == [None, 5, 5, 5, 5, 5]
    assert not any(told.tracks for told in camera.told)


def test_the_frame_rate_is_of_the_last_seconds() -> None:
    camera = Watched()
    for index in range(100):
        camera.see(info_at(index, step_s=0.04))
    for index in range(100, 120):
        told = camera.see(info_at(index, step_s=1.0))
    assert told is not None
    assert told.frame_rate_hz == 1.0


def test_dropped_frames_are_part_of_the_captured_rate() -> None:
    camera = Watched()
    for index in range(0, 60, 4):
        camera.see(info_at(index))
    assert {one.frame_rate_hz for one in camera.told} == {None, 1.25}
    assert {one.captured_rate_hz for one in camera.told} == {None, 5.0}


def test_a_frame_every_ten_seconds_has_a_rate_too() -> None:
    camera = Watched()
    told = [camera.see(info_at(index, step_s=10.0)) for index in range(4)]
    assert [one.frame_rate_hz for one in told if one] == [None, 0.1, 0.1, 0.1]


def test_a_new_track_is_sent_at_once_a_false_detection_never() -> None:
    camera = Watched()
    told = [camera.see(info_at(0)), camera.see(info_at(1), box(), box(600.0))]
    told += [camera.see(info_at(index), box()) for index in (2, 3, 4)]
    assert [one is not None for one in told] == [True, False, False, True, False]
    assert [confirmed_track and confirmed_track.track_id for confirmed_track in camera.confirmed] == [
        "s1-0-1"
    ]
    (track_summary,) = camera.summaries.values()
    assert (track_summary.frames, track_summary.votes_sent, track_summary.ended) == (3, 0, False)
    assert track_summary.first_seen_s == pytest.approx(START_S + 0.2)
    assert track_summary.last_seen_s == pytest.approx(START_S + 0.6)


def test_an_ended_track_is_sent_at_once_and_only_once() -> None:
    camera = Watched()
    for index in range(5):
        camera.see(info_at(index), box())
    for index in range(5, 40):
        camera.see(info_at(index))
    (told,) = [one for one in camera.told if any(s.ended for s in one.tracks)]
    assert told.frame.captured_at_s == pytest.approx(START_S + 0.8 + 2.0, abs=0.21)
    (track_summary,) = told.tracks
    assert track_summary.frames == 5
    assert track_summary.last_seen_s == pytest.approx(START_S + 0.8)
    assert camera.told[-1].tracks == ()


def test_finish_ends_all_tracks_at_the_last_frame() -> None:
    camera = Watched()
    for index in range(9):
        camera.see(info_at(index), box())
    last = camera.tracks.finish(START_S + 9)
    assert last is not None
    assert last.frame == info_at(8)
    assert [(one.ended, one.frames) for one in last.tracks] == [(True, 9)]
    again = camera.tracks.finish(START_S + 9)
    assert again is not None
    assert again.tracks == ()
    assert CameraTracks().finish(START_S) is None


def test_the_limits_of_tracks_can_be_set() -> None:
    camera = Watched(TrackLimits(confirm_frames=1, lost_s=0.7))
    assert [s.frames for s in camera.see(info_at(0), box()).tracks] == [1]  # type: ignore[union-attr]
    for index in range(1, 8):
        camera.see(info_at(index))
    assert camera.summaries["s1-0-1"].ended


def test_a_new_stream_ends_tracks_and_starts_ids_of_its_own() -> None:
    camera = Watched()
    for index in range(4):
        camera.see(info_at(index), box())
    told = camera.see(info_at(0, stream="s2", start_s=START_S + 1), box())
    assert told is not None
    assert [(s.track_id, s.ended) for s in told.tracks] == [("s1-0-1", True)]
    assert told.frame_rate_hz is None
    for index in (1, 2):
        camera.see(info_at(index, stream="s2", start_s=START_S + 1), box())
    assert camera.summaries["s2-0-1"].frames == 3


@pytest.mark.parametrize("jump_s", [-30.0, 60.0])
def test_a_clock_jump_ends_the_tracks_at_once(jump_s: float) -> None:
    camera = Watched()
    for index in range(4):
        camera.see(info_at(index), box())
    told = [camera.see(info_at(index, start_s=START_S + jump_s), box()) for index in range(4, 9)]
    assert told[0] is not None
    assert [(s.track_id, s.ended) for s in told[0].tracks] == [("s1-0-1", True)]
    assert set(camera.summaries) == {"s1-0-1", "s1-0-2"}


def told_by(clock: Clock, index: int, *, ahead_s: float = 0.0, start_s: float = START_S) -> FrameInfo:
    """A frame of a camera with a clock that is ahead of ours by this time."""
    info = info_at(index, start_s=start_s)
    if clock == "arrival":
        return info
    return info.model_copy(update={"clock": clock, "captured_at_s": info.captured_at_s + ahead_s})


CLOCKS: dict[str, Callable[[int], Clock]] = {
    "told late": lambda index: "arrival" if index < 10 else "camera",
    "no longer believed": lambda index: "camera" if index < 10 else "arrival",
    "believed for a while": lambda index: "camera" if 10 <= index < 20 else "arrival",
    "believed now and then": lambda index: "camera" if index % 3 else "arrival",
}


@pytest.mark.parametrize("ahead_s", [-9.0, -0.3, 0.0, 3.0, 9.0])
@pytest.mark.parametrize("clock_of", CLOCKS.values(), ids=CLOCKS.keys())
def test_a_track_survives_a_change_of_clock(clock_of: Callable[[int], Clock], ahead_s: float) -> None:
    camera = Watched()
    for index in range(31):
        camera.see(told_by(clock_of(index), index, ahead_s=ahead_s), box())
    (track_summary,) = camera.summaries.values()
    assert (track_summary.track_id, track_summary.frames, track_summary.ended) == ("s1-0-1", 31, False)
    assert track_summary.last_seen_s - track_summary.first_seen_s == pytest.approx(6.0)
    assert track_summary.first_seen_s == told_by(clock_of(0), 0, ahead_s=ahead_s).captured_at_s
    assert 7 <= len(camera.told) <= 8, "once a second, and when a track was confirmed"
    assert camera.told[-1].frame_rate_hz == 5


def test_without_tracks_the_time_is_the_capture_time_again() -> None:
    camera = Watched()
    for index in range(40):
        frame = told_by("arrival" if index < 5 else "camera", index, ahead_s=-4.0)
        camera.see(frame, *([box()] if index < 10 or index >= 30 else []))
    first, second = camera.summaries.values()
    assert (first.first_seen_s, first.last_seen_s) == pytest.approx((START_S, START_S + 1.8))
    assert second.first_seen_s == START_S + 30 * 0.2 - 4.0
    assert (first.ended, second.ended) == (True, False)


@pytest.mark.parametrize("jump_s", [-30.0, 60.0])
def test_a_jump_of_the_same_clock_ends_the_tracks(jump_s: float) -> None:
    camera = Watched()
    for index in range(10):
        camera.see(told_by("arrival" if index < 5 else "camera", index, ahead_s=-3.0), box())
    for index in range(10, 15):
        camera.see(told_by("camera", index, ahead_s=-3.0 + jump_s), box())
    assert {name: one.ended for name, one in camera.summaries.items()} == {"s1-0-1": True, "s1-0-2": False}


def timed(index: int, *, ahead_s: float = 0.0, late_s: float = 0.0) -> FrameInfo:
    """A frame by a clock that is ahead, which comes late. Ingest also tells the time that passed."""
    info = info_at(index, start_s=START_S + ahead_s)
    return info.model_copy(update={"elapsed_s": index * 0.2 + late_s})


@pytest.mark.parametrize("set_by_s", [-3600.0, -1.0, 1.0, 3600.0])
def test_a_clock_that_is_set_ends_no_track(set_by_s: float) -> None:
    camera = Watched()
    for index in range(10):
        camera.see(timed(index), box())
    for index in range(10, 26):
        camera.see(timed(index, ahead_s=set_by_s), box())
    (track_summary,) = camera.summaries.values()
    assert (track_summary.frames > 20, track_summary.ended) == (True, False)
    assert track_summary.last_seen_s - track_summary.first_seen_s == pytest.approx(5.0, abs=1.1)


def test_frames_that_a_stall_delays_keep_their_times() -> None:
    camera = Watched()
    for index in range(31):
        camera.see(timed(index, late_s=max(0.0, 6.0 - index * 0.2) if index >= 10 else 0.0), box())
    (track_summary,) = camera.summaries.values()
    assert track_summary.last_seen_s - track_summary.first_seen_s == pytest.approx(6.0)


def test_a_gap_ends_the_tracks_although_the_clock_changes() -> None:
    camera = Watched()
    for index in range(5):
        camera.see(told_by("arrival", index), box())
    for index in range(5, 10):
        camera.see(told_by("camera", index, start_s=START_S + 8.0, ahead_s=-8.0), box())
    assert {name: one.ended for name, one in camera.summaries.items()} == {"s1-0-1": True, "s1-0-2": False}


def test_updates_go_on_after_the_clock_was_set_back() -> None:
    camera = Watched()
    for index in range(10):
        camera.see(info_at(index))
    before = len(camera.told)
    for index in range(10, 25):
        camera.see(info_at(index, start_s=START_S - 30))
    after = camera.told[before:]
    assert [told.frame.sequence for told in after] == [10, 15, 20]
    assert [told.frame_rate_hz for told in after] == [None, 5, 5]


def test_after_a_takeover_no_id_is_given_again() -> None:
    first, second = Watched(), Watched()
    for index in range(10):
        first.see(info_at(index), box())
    for index in range(6, 16):
        second.see(info_at(index), box())
    assert set(first.summaries).isdisjoint(second.summaries)


@pytest.mark.parametrize("looked_at_all", [True, False])
def test_after_dropped_frames_a_restored_camera_uses_new_ids(
    looked_at_all: bool,
) -> None:
    before = Watched()
    for index in range(6):
        before.see(info_at(index), box())
    after = Watched()
    after.tracks = CameraTracks.restored(before.tracks.checkpoint())
    if not looked_at_all:
        after.tracks.note_dropped()
    for index in range(6, 12):
        after.see(info_at(index), box(), box(400.0))
    after.tracks.note_dropped()
    for index in range(12, 18):
        after.see(info_at(index), box(), box(400.0), box(800.0))
    named = "s1-0" if looked_at_all else "s1-6"
    assert set(after.summaries) == {"s1-0-1", f"{named}-2", f"{named}-3"}


def test_the_same_frames_give_the_same_ids() -> None:
    cameras = Watched(), Watched()
    for camera in cameras:
        for index in range(7, 17):
            camera.see(info_at(index), box(), box(400.0))
    assert cameras[0].told == cameras[1].told
    assert set(cameras[0].summaries) == {"s1-7-1", "s1-7-2"}


def test_a_processed_frame_is_recognised() -> None:
    tracks = CameraTracks()
    assert not tracks.has_seen(info_at(0))
    tracks.update(info_at(3), [])
    assert [tracks.has_seen(info_at(index)) for index in (2, 3, 4)] == [True, True, False]
    assert not tracks.has_seen(info_at(3, stream="s2"))


def test_frames_of_a_file_have_the_times_of_playing_it() -> None:
    camera = Watched()
    for index in range(50):
        read = info_at(index, step_s=0.01)
        camera.see(read.model_copy(update={"media_time_s": index * 0.2, "file": "a.mp4"}), box())
    (track_summary,) = camera.summaries.values()
    assert track_summary.first_seen_s == START_S
    assert track_summary.last_seen_s == pytest.approx(START_S + 9.0, abs=0.9)
    assert camera.told[-1].frame_rate_hz == 5
    assert 10 <= len(camera.told) <= 12


def face_of(quality: float, height_px: float = 60.0) -> FaceInfo:
    return face_info().model_copy(update={"quality": quality, "box_xyxy": (0.0, 0.0, height_px, height_px)})


def test_a_summary_has_the_votes_or_the_reason_for_none() -> None:
    camera = Watched()
    for index in range(3):
        camera.see(info_at(index), box())
    (confirmed_track,) = camera.confirmed
    assert confirmed_track is not None

    def track_summary() -> TrackSummary:
        (one,) = camera.tracks.take_update(info_at(3), START_S).tracks
        return one

    steps = [
        (face_of(0.0, 20), SkipReason.LOW_QUALITY, 0, "too-small"),
        (face_of(0.0), SkipReason.LOW_QUALITY, 0, "too-blurred"),
        (face_of(0.0, 20), SkipReason.LOW_QUALITY, 0, "too-blurred"),
        (face_of(0.5), None, 1, None),
        (face_of(0.0), SkipReason.LOW_QUALITY, 1, None),
        (face_of(0.5), SkipReason.ENOUGH, 1, None),
        (face_of(0.9), None, 2, None),
    ]
    for face, refused, votes, unclassified in steps:
        assert confirmed_track.consider(face, camera.tracks.time_s) == refused
        assert (track_summary().votes_sent, track_summary().unclassified) == (votes, unclassified)


def test_a_frontal_face_does_not_wait_after_a_turned_one() -> None:
    camera = Watched()
    for index in range(3):
        camera.see(info_at(index), box())
    (confirmed_track,) = camera.confirmed
    assert confirmed_track is not None
    this_way = face_of(0.7)
    eyes_and_mouth = this_way.landmarks_xy
    far = (eyes_and_mouth[0][0] - 20.0, eyes_and_mouth[2][1])
    turned = this_way.model_copy(
        update={"landmarks_xy": (*eyes_and_mouth[:2], far, *eyes_and_mouth[3:])},
    )
    assert confirmed_track.consider(turned, START_S) is None
    assert confirmed_track.consider(turned, START_S + 0.1) is SkipReason.ENOUGH
    assert confirmed_track.consider(this_way, START_S + 0.2) is None


def test_each_field_of_a_summary_but_the_box_only_grows() -> None:
    camera = Watched()
    for index in range(60):
        camera.see(info_at(index), *([box(100 + index)] if index % 7 < 5 else []))
        for confirmed_track in camera.confirmed:
            if confirmed_track is not None:
                confirmed_track.consider(face_of(0.6), camera.tracks.time_s)
    tracks = [one for told in camera.told for one in told.tracks]
    assert {one.track_id for one in tracks} == {"s1-0-1"}
    for before, after in pairwise(tracks):
        assert after.first_seen_s == before.first_seen_s
        assert after.last_seen_s >= before.last_seen_s
        assert after.frames >= before.frames
        assert after.votes_sent >= before.votes_sent


def test_only_cameras_silent_for_ten_minutes_are_forgotten() -> None:
    cameras = TracksByCamera()
    silent, lively = cameras.of("silent", 0.0), cameras.of("lively", 1.0)
    assert cameras.of("lively", FORGET_AFTER_S) is lively
    assert len(cameras) == 2
    assert cameras.of("lively", FORGET_AFTER_S + 1.0) is lively
    assert len(cameras) == 1
    assert cameras.of("silent", FORGET_AFTER_S + 2.0) is not silent


def resized(index: int, size_wh: tuple[int, int], x: float) -> tuple[FrameInfo, BoxXyxy]:
    """A face at the same place of the scene, in a frame of this size. `x`: in a frame of 1280 x 720."""
    info = info_at(index).model_copy(update={"width_px": size_wh[0], "height_px": size_wh[1]})
    across, down = size_wh[0] / 1280, size_wh[1] / 720
    left, top, right, bottom = box(x)
    return info, (left * across, top * down, right * across, bottom * down)


@pytest.mark.parametrize("sizes_wh", [[(640, 360), (320, 180)], [(640, 360), (1280, 720)], [(640, 480)]])
def test_a_size_that_changes_midstream_ends_no_track(sizes_wh: list[tuple[int, int]]) -> None:
    camera = Watched()
    sizes_wh = [(1280, 720), *sizes_wh]
    for index in range(40):
        info, face = resized(index, sizes_wh[index // 5 % len(sizes_wh)], 100.0 + 12 * index)
        camera.see(info, face)
    (summary,) = camera.summaries.values()
    assert (summary.frames, summary.ended) == (camera.told[-1].frame.sequence + 1, False)


def test_a_restored_track_follows_a_change_of_the_size() -> None:
    camera = Watched()
    for index in range(5):
        camera.see(*resized(index, (1280, 720), 100.0))
    track_ids = set(camera.summaries)
    camera.tracks = CameraTracks.restored(camera.tracks.checkpoint())
    for index in range(5, 12):
        camera.see(*resized(index, (320, 180), 100.0))
    assert set(camera.summaries) == track_ids
