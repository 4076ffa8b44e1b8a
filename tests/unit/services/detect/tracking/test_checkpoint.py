"""A checkpoint of any moment restores tracks that go on exactly as before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.services.detect.tracking.camera_tracks import CameraTracks, TrackLimits
from agegender.services.detect.tracking.checkpoint import BallotState, Checkpoint, newest_checkpoints
from agegender.services.detect.tracking.tracker import MOST_TRACKS
from agegender.shared.errors import BadMessage
from agegender.shared.messages.codec import TRACK_UPDATE_CODEC
from agegender.shared.messages.pipeline import BoxXyxy, FaceInfo, FrameInfo, TrackUpdate, TrackUpdateInfo
from tests.support.made_messages import face_info, frame_info

START_S = 1_700_000_000.0

Seen = tuple[FrameInfo, tuple[BoxXyxy, ...]]


def box(x: float = 100.0, side: float = 60.0) -> BoxXyxy:
    return (x, 100.0, x + side, 100.0 + side)


def at(sequence: int, *, stream: str = "s1", rate_hz: float = 5.0) -> FrameInfo:
    return frame_info(stream_id=stream, sequence=sequence, captured_at_s=START_S + sequence / rate_hz)


def handed_over(camera: CameraTracks) -> CameraTracks:
    """The tracks restored from the encoded checkpoint of these."""
    return CameraTracks.restored(CHECKPOINTS.codec.decode(CHECKPOINTS.codec.encode(camera.checkpoint())))


def told(camera: CameraTracks, seen: Seen) -> list[object]:
    """The outputs of one frame: the votes and the track update."""
    info, boxes = seen
    heard: list[object] = []
    for index, confirmed_track in enumerate(camera.update(info, boxes)):
        if confirmed_track is None:
            heard.append(None)
            continue
        refused = confirmed_track.consider(_face(info, index, len(boxes)), camera.time_s)
        heard.append((confirmed_track.track_id, confirmed_track.ballot.votes_sent, refused))
    if camera.is_update_due:
        heard.append(camera.take_update(info, info.captured_at_s))
    return heard


def _face(info: FrameInfo, index: int, faces: int) -> FaceInfo:
    quality = (info.sequence * 7 % 10 + 1) / 10
    box_xyxy = (100.0, 80.0, 240.0, 220.0)
    face = face_info(info, index, faces)
    return face.model_copy(update={"quality": quality, "box_xyxy": box_xyxy})


@st.composite
def clips(draw: st.DrawFn) -> list[Seen]:
    """Frames with faces that appear, move, are lost and disappear, over one or two streams and clocks."""
    rate_hz = draw(st.sampled_from([2.0, 5.0, 25.0]))
    length = draw(st.integers(2, 40))
    new_stream_at = draw(st.integers(0, 2 * length))
    ways = draw(
        st.lists(
            st.tuples(st.integers(0, 1200), st.integers(-9, 9), st.sets(st.integers(0, length))), max_size=3
        )
    )
    told_from, ahead_s = draw(st.integers(0, 2 * length)), draw(st.sampled_from([-4.0, -0.3, 3.0]))
    clip: list[Seen] = []
    for i in range(length):
        boxes = tuple(box(x + step * i, 140.0) for x, step, missed in ways if i not in missed)
        info = at(i, stream="s1" if i < new_stream_at else "s2", rate_hz=rate_hz)
        if i >= told_from:
            by_camera = {"clock": "camera", "captured_at_s": info.captured_at_s + ahead_s}
            info = info.model_copy(update=by_camera)
        clip.append((info, boxes))
    return clip


@settings(max_examples=60, deadline=None)
@given(clips(), st.data())
def test_a_takeover_after_any_frame_changes_no_output(clip: list[Seen], data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(clip) - 1), min_size=1, max_size=4))
    one, others = CameraTracks(), CameraTracks()
    for index, seen in enumerate(clip):
        if index in cuts:
            others = handed_over(others)
            assert others.has_seen(clip[index - 1][0])
            assert not others.has_seen(seen[0])
        assert told(others, seen) == told(one, seen)
    assert others.finish(0.0) == one.finish(0.0)


def test_a_checkpoint_is_small() -> None:
    def size_bytes(persons: int) -> int:
        camera = CameraTracks()
        for i in range(50):
            told(camera, (at(i), tuple(box(150.0 * n + 0.37 * i) for n in range(persons))))
        return CHECKPOINTS.codec.encode(camera.checkpoint()).size_bytes

    assert size_bytes(0) < 1_200
    assert (size_bytes(8) - size_bytes(0)) / 8 < 400


def states(frames: Sequence[FrameInfo]) -> list[Checkpoint]:
    """The checkpoints after each of these frames."""
    camera, found = CameraTracks(), []
    for info in frames:
        told(camera, (info, ()))
        found.append(camera.checkpoint())
    return found


def test_a_checkpoint_written_late_does_not_replace_a_newer() -> None:
    first, second, third = states([at(0), at(1), at(0, stream="s2")])
    assert newest_checkpoints([first, second]) == (second,)
    assert newest_checkpoints([first, third, second]) == (third,)
    assert newest_checkpoints([second, second]) == (second,)


def test_the_later_stream_is_known_by_its_frames_not_its_id() -> None:
    before, after = states([at(5, stream="s9"), at(0, stream="s1")])
    assert newest_checkpoints([before, after]) == (after,)
    assert newest_checkpoints([after, before]) == (after,)


def test_frames_of_earlier_streams_are_recognised() -> None:
    camera = CameraTracks()
    for stream in ("s1", "s2", "s3"):
        told(camera, (at(7, stream=stream), ()))
    camera = handed_over(camera)
    assert camera.has_seen(at(7, stream="s1"))
    assert camera.has_seen(at(6, stream="s2"))
    assert not camera.has_seen(at(8, stream="s2"))
    assert not camera.has_seen(at(0, stream="s4"))


def test_each_camera_has_its_own_checkpoint() -> None:
    one, other = at(0), frame_info("cam2")
    assert {state.camera_id for state in newest_checkpoints([*states([one]), *states([other])])} == {
        "cam1",
        "cam2",
    }


def test_a_confirmed_track_without_its_track_is_refused() -> None:
    camera = CameraTracks()
    for i in range(3):
        told(camera, (at(i), (box(),)))
    state = camera.checkpoint()
    broken = state.model_copy(update={"tracker": state.tracker.model_copy(update={"tracks": ()})})
    with pytest.raises(BadMessage, match=r"expected a track for each confirmed track, got none for \[1\]"):
        CHECKPOINTS.codec.decode(CHECKPOINTS.codec.encode(broken))


def test_a_checkpoint_without_clock_fields_is_read() -> None:
    (state,) = states([at(0)])
    fields = state.model_dump(mode="json")
    del fields["clock"]["offset_s"]
    assert Checkpoint.model_validate(fields) == state


def test_no_checkpoint_is_taken_before_a_due_track_update() -> None:
    camera = CameraTracks()
    for i in range(3):
        camera.update(at(i), [box()])
    with pytest.raises(RuntimeError, match="expected a processed frame and no due track update"):
        camera.checkpoint()


_LONGEST = -2.2250738585072014e-308
"""No number of this kind has more characters."""


def crowd(faces: int = MOST_TRACKS + 100) -> tuple[BoxXyxy, ...]:
    return tuple(box(300.0 * n) for n in range(faces))


def with_a_crowd() -> tuple[CameraTracks, list[TrackUpdateInfo]]:
    """A camera with the largest number of tracks, then as many others, and all its track updates."""
    camera, track_updates = CameraTracks(TrackLimits(confirm_frames=1)), []
    for stream in ("first-stream-of-24-signs", "other-stream-of-24-signs"):
        info = at(2**53 - 1, stream=stream.replace("-", "0"), rate_hz=1e9)
        camera.update(info, crowd())
        track_updates.append(camera.take_update(info, info.captured_at_s))
    return camera, track_updates


def widest(state: Checkpoint) -> Checkpoint:
    """The same checkpoint with the longest numbers possible."""
    tracks = [
        one.model_copy(
            update={
                "box_xyxy": (_LONGEST,) * 4,
                "velocity_xy": (_LONGEST,) * 2,
                "first_s": _LONGEST,
                "last_s": _LONGEST,
                "frames": 10**9,
                "misses": 10**9,
            }
        )
        for one in state.tracker.tracks
    ]
    ballot = BallotState(votes_sent=99, quality=-_LONGEST, best=-_LONGEST, last_s=_LONGEST)
    confirmed = [
        one.model_copy(update={"ballot": ballot, "unclassified": "too-blurred"}) for one in state.confirmed
    ]
    tracker = state.tracker.model_copy(update={"tracks": tuple(tracks)})
    return state.model_copy(update={"tracker": tracker, "confirmed": tuple(confirmed)})


def test_the_checkpoint_of_the_largest_crowd_is_readable() -> None:
    camera, _ = with_a_crowd()
    state = camera.checkpoint()
    assert len(state.confirmed) == len(state.tracker.tracks) == MOST_TRACKS
    largest = widest(state)
    assert CHECKPOINTS.codec.decode(CHECKPOINTS.codec.encode(largest)) == largest
    assert handed_over(camera).checkpoint() == state


def test_the_largest_track_update_is_readable() -> None:
    _, (_, told_last) = with_a_crowd()
    assert len(told_last.tracks) == 2 * MOST_TRACKS
    longest = {
        "first_seen_s": -_LONGEST,
        "last_seen_s": -_LONGEST,
        "frames": 10**9,
        "votes_sent": 99,
        "unclassified": "too-blurred",
        "box_xyxy": (_LONGEST,) * 4,
    }
    tracks = tuple(one.model_copy(update=longest) for one in told_last.tracks)
    track_update = TrackUpdate(info=told_last.model_copy(update={"tracks": tracks}))
    assert TRACK_UPDATE_CODEC.decode(TRACK_UPDATE_CODEC.encode(track_update)) == track_update
