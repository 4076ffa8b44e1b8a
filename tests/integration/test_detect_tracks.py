"""The frames of a camera pass detect with the real detector: tracks, votes, track updates and previews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.shared.images.pictures import Bgr, decode_picture, encode_jpeg
from agegender.shared.messages.codec import FACES_CODEC
from agegender.shared.messages.pipeline import Face, Frame, FrameInfo, Mode, Preview, TrackUpdate
from agegender.shared.models import weights
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.stage import Bad, Done, Dropped, DropReason, Outcome, SkipReason
from tests.support.faces import astronaut
from tests.support.made_messages import frame_info

START_S = 1_700_000_000.0
RATE_HZ = 5.0


def scene(shift_px: int = 0, *, blurred: bool = False, face: bool = True) -> Bgr:
    """640 x 360 pixels with a face of about 110 px, moved by `shift_px`."""
    canvas = np.full((360, 640, 3), 128, np.uint8)
    if face:
        canvas[20:340, 60 + shift_px : 380 + shift_px] = astronaut()[0:320, 64:384]
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 5), np.uint8) if blurred else canvas


def frames(pictures: Sequence[Bgr], *, stream: str = "s1", start_s: float = START_S) -> list[Frame]:
    return [
        Frame(info=_info(stream, index, start_s), jpeg=encode_jpeg(picture, 90))
        for index, picture in enumerate(pictures)
    ]


def _info(stream: str, index: int, start_s: float) -> FrameInfo:
    return frame_info(stream_id=stream, sequence=index, captured_at_s=start_s + index / RATE_HZ)


def stage(**settings: object) -> DetectStage:
    return build_detect_stage(DetectSettings.model_validate({"stale_s": 1e12, **settings}))


def faces(outcomes: Sequence[Outcome[DetectOutput]]) -> list[Face]:
    return [one for outcome in _done(outcomes) for one in outcome.outputs if isinstance(one, Face)]


def track_updates(outcomes: Sequence[Outcome[DetectOutput]]) -> list[TrackUpdate]:
    return [one for outcome in _done(outcomes) for one in outcome.outputs if isinstance(one, TrackUpdate)]


def previews(outcomes: Sequence[Outcome[DetectOutput]]) -> list[Preview]:
    return [one for outcome in _done(outcomes) for one in outcome.outputs if isinstance(one, Preview)]


def skipped(outcomes: Sequence[Outcome[DetectOutput]]) -> Counter[SkipReason]:
    return Counter(reason for outcome in _done(outcomes) for reason in outcome.skipped)


def _done(outcomes: Sequence[Outcome[DetectOutput]]) -> list[Done[DetectOutput]]:
    return [outcome for outcome in outcomes if isinstance(outcome, Done)]


def test_a_few_numbered_faces_vote_and_all_are_counted() -> None:
    outcomes = stage().process(frames([scene(2 * i) for i in range(20)]))
    sent = faces(outcomes)
    assert [face.info.vote for face in sent] == [1, 2, 3]
    assert {face.info.track_id for face in sent} == {"s1-0-1"}
    assert [face.info.frame.sequence for face in sent] == [2, 7, 14]
    assert skipped(outcomes) == {SkipReason.UNCONFIRMED: 2, SkipReason.ENOUGH: 15}


def test_track_updates_come_once_a_second_with_votes_sent() -> None:
    shown = [scene(2 * i) for i in range(20)] + [scene(face=False)] * 15
    told = track_updates(stage().process(frames(shown)))
    assert [one.info.frame.sequence for one in told] == [0, 2, 5, 10, 15, 20, 25, 30]
    votes = [track_summary.votes_sent for one in told for track_summary in one.info.tracks]
    assert votes == [1, 1, 2, 3, 3, 3, 3]
    (last,) = told[-1].info.tracks
    assert (last.ended, last.frames, last.unclassified) == (True, 20, None)


def test_a_short_visit_has_a_vote() -> None:
    shown = [scene(face=False)] * 3 + [scene(12 * i) for i in range(8)] + [scene(face=False)] * 13
    outcomes = stage().process(frames(shown))
    assert len(faces(outcomes)) >= 1
    (last,) = track_updates(outcomes)[-1].info.tracks
    assert last.ended
    assert last.votes_sent == len(faces(outcomes))


def test_the_frames_that_confirm_a_track_are_a_setting() -> None:
    outcomes = stage(confirm_frames=1, lost_s=0.3).process(frames([scene()] + [scene(face=False)] * 4))
    assert [face.info.vote for face in faces(outcomes)] == [1]
    (last,) = track_updates(outcomes)[-1].info.tracks
    assert last.ended


def test_a_blurred_person_has_no_vote_until_a_face_is_sharp() -> None:
    detect = stage(min_score=0.4)
    blurred = detect.process(frames([scene(i, blurred=True) for i in range(8)]))
    assert not faces(blurred)
    assert skipped(blurred) == {SkipReason.UNCONFIRMED: 2, SkipReason.LOW_QUALITY: 6}
    (track_summary,) = track_updates(blurred)[-1].info.tracks
    assert (track_summary.votes_sent, track_summary.unclassified) == (0, "too-blurred")

    sharp = [Frame(info=_info("s1", 8 + i, START_S), jpeg=encode_jpeg(scene(8 + i), 90)) for i in range(8)]
    outcomes = detect.process(sharp)
    assert faces(outcomes)[0].info.frame.sequence == 8
    (track_summary,) = track_updates(outcomes)[-1].info.tracks
    assert track_summary.votes_sent >= 1
    assert track_summary.unclassified is None


def test_selection_all_sends_all_faces_with_the_same_votes() -> None:
    shown = frames([scene(2 * i) for i in range(12)])
    every, best = stage(selection="all").process(shown), stage().process(shown)
    assert not skipped(every)
    assert [face.info.frame.sequence for face in faces(every)] == list(range(12))
    assert [face.info.track_id for face in faces(every)] == [None] * 2 + ["s1-0-1"] * 10
    voting = [face for face in faces(every) if face.info.vote is not None]
    assert [face.info.face_id for face in voting] == [face.info.face_id for face in faces(best)]
    assert [face.info.vote for face in voting] == [face.info.vote for face in faces(best)]


def test_stills_are_frames_by_themselves() -> None:
    still = {"file": "a.jpg", "media_time_s": None}
    shown = [
        frame.model_copy(update={"info": frame.info.model_copy(update=still)})
        for frame in frames([scene()] * 4)
    ]
    outcomes = stage().process(shown)
    assert [(face.info.track_id, face.info.vote) for face in faces(outcomes)] == [(None, None)] * 4
    assert not track_updates(outcomes)
    assert not skipped(outcomes)


def test_a_repeated_frame_gives_no_output() -> None:
    detect, shown = stage(), frames([scene(2 * i) for i in range(12)])
    first = detect.process(shown[:8])
    assert detect.process(shown[4:8]) == [Done()] * 4
    again = detect.process(shown[8:])
    assert len(faces(first)) + len(faces(again)) == 2
    assert {s.track_id for one in track_updates(again) for s in one.info.tracks} == {"s1-0-1"}


def test_the_same_frames_give_the_same_ids_and_votes() -> None:
    shown = frames([scene(2 * i) for i in range(12)])
    sent, again = (faces(stage().process(shown)) for _ in range(2))
    assert [(f.info.face_id, f.info.track_id, f.info.vote) for f in sent] == [
        (f.info.face_id, f.info.track_id, f.info.vote) for f in again
    ]


def test_cameras_are_independent_and_survive_a_bad_frame() -> None:
    here = frames([scene(2 * i) for i in range(6)])
    there = [f.model_copy(update={"info": f.info.model_copy(update={"camera_id": "cam2"})}) for f in here]
    mixed = [frame for pair in zip(here, there, strict=True) for frame in pair]
    mixed[4] = mixed[4].model_copy(update={"jpeg": b"no picture"})
    outcomes = stage().process(mixed)
    assert isinstance(outcomes[4], Bad)
    assert Counter((f.camera_id, f.info.track_id) for f in faces(outcomes)) == {
        ("cam1", "s1-0-1"): 1,
        ("cam2", "s1-0-1"): 1,
    }


@pytest.mark.parametrize("mode", ["live", "complete"])
def test_late_frames_of_an_old_stream_count_in_complete_mode(
    mode: Mode,
) -> None:
    first, second = (
        [
            Frame(info=one.info.model_copy(update={"mode": mode}), jpeg=one.jpeg)
            for one in frames([scene()] * 8, stream=stream, start_s=start_s)
        ]
        for stream, start_s in (("s1", START_S), ("s2", START_S + 2))
    )
    watched = stage()
    outcomes = [
        *watched.process([*first[:6], *second[:4], first[6]]),
        *watched.process([first[7], *second[4:]]),
    ]
    late = [index for index, one in enumerate(outcomes) if one == Dropped(DropReason.STALE)]
    assert late == ([10, 11] if mode == "live" else [])
    people = {track_summary.track_id for one in track_updates(outcomes) for track_summary in one.info.tracks}
    assert people == ({"s1-0-1", "s2-0-1"} if mode == "live" else {"s1-0-1", "s2-0-1", "s2-4-1"})


def test_a_new_connection_ends_the_visit() -> None:
    detect = stage()
    detect.process(frames([scene()] * 4))
    (outcome,) = detect.process(frames([scene()], stream="s2", start_s=START_S + 1))
    (told,) = track_updates([outcome])
    assert [(s.track_id, s.ended) for s in told.info.tracks] == [("s1-0-1", True)]


@pytest.mark.parametrize("preview", ["off", "blurred", "clear"])
def test_a_preview_is_small_and_anonymized_as_configured(preview: str) -> None:
    detect = stage(preview=preview, preview_px=320)
    shown = previews(detect.process(frames([scene(2 * i) for i in range(11)])))
    if preview == "off":
        assert shown == []
        return
    assert [one.info.sequence for one in shown] == [0, 5, 10]
    detector = YuNet(weights("yunet"), min_score=0.3)
    for picture in (one.jpeg for one in shown):
        small = decode_picture(picture)
        assert small.shape == (180, 320, 3)
        assert len(picture) < 30_000
        assert len(detector.detect(small)) == (1 if preview == "clear" else 0)


def test_a_preview_anonymizes_doubtful_faces() -> None:
    doubtful = scene(blurred=True)
    certain = YuNet(weights("yunet"), min_score=0.3).detect(doubtful)[0].score + 0.01
    detect = stage(preview="blurred", min_score=certain, preview_px=640)
    (outcome,) = detect.process(frames([doubtful]))
    assert not skipped([outcome])
    (shown,) = previews([outcome])
    assert not YuNet(weights("yunet"), min_score=0.3).detect(decode_picture(shown.jpeg))


def test_a_preview_anonymizes_the_last_box_of_a_lost_face() -> None:
    detect = stage(preview="blurred", preview_px=640)
    shown = [scene()] * 5 + [scene(face=False)]
    outcomes = detect.process(frames(shown))
    told, newest = track_updates(outcomes), previews(outcomes)[-1]
    assert told[-1].info.frame.sequence == newest.info.sequence == 5
    shown_empty = decode_picture(encode_jpeg(scene(face=False), 75))
    assert told[-1].info.tracks[0].frames == 5
    # The place of the lost face is anonymized, so its flat grey changes by the rounding of its colour.
    assert np.any(decode_picture(newest.jpeg) != shown_empty)


def test_track_updates_survive_encoding() -> None:
    for track_update in track_updates(
        stage(preview="blurred").process(frames([scene(2 * i) for i in range(8)]))
    ):
        assert FACES_CODEC.decode(FACES_CODEC.encode(track_update)) == track_update


def test_stale_frames_are_dropped_and_the_next_ends_tracks() -> None:
    now_s = START_S + 5.0
    detect = DetectStage(YuNet(weights("yunet")), deadline=Deadline(10.0), clock=lambda: now_s)
    (came,) = track_updates(detect.process(frames([scene()] * 5)))[-1].info.tracks
    late = [Frame(info=_info("s1", number, START_S), jpeg=b"no picture") for number in range(5, 105)]
    now_s = START_S + 100.0
    assert detect.process(late[:80]) == [Dropped(DropReason.STALE)] * 80
    fresh = Frame(info=_info("s1", 495, START_S), jpeg=encode_jpeg(scene(face=False), 90))
    told = track_updates(detect.process([fresh]))[-1]
    assert [(one.track_id, one.ended) for one in told.info.tracks] == [(came.track_id, True)]


def test_an_old_frame_in_complete_mode_is_processed() -> None:
    detect = DetectStage(YuNet(weights("yunet")), deadline=Deadline(10.0))
    complete = [
        one.model_copy(update={"info": one.info.model_copy(update={"mode": "complete"})})
        for one in frames([scene(2 * i) for i in range(4)])
    ]
    assert faces(detect.process(complete))


def test_a_repeated_stale_frame_is_a_repeat_and_not_a_drop() -> None:
    now_s = START_S + 5.0
    detect = DetectStage(YuNet(weights("yunet")), deadline=Deadline(10.0), clock=lambda: now_s)
    some = frames([scene()] * 3)
    detect.process(some)
    now_s = START_S + 100.0
    assert detect.process(some) == [Done()] * 3
