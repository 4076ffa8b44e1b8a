"""While nothing moves, a search stands for the frames after it, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.services.detect.motion import MotionGate
from agegender.services.detect.preview import PreviewRenderer
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.shared.images.pictures import Bgr, encode_jpeg
from agegender.shared.messages.pipeline import Frame, TrackUpdateInfo
from agegender.shared.models import weights
from agegender.shared.runtime.stage import Done, SkipReason
from tests.support.faces import astronaut
from tests.support.made_messages import frame_info

STILL_S, FPS = 3.0, 2
EVERY = int(STILL_S * FPS)
START_S = 1_700_000_000.0
LANDMARKS_XY = np.array([(40.0, 30), (60, 30), (50, 45), (42, 60), (58, 60)])
FACE = Detection((30.0, 15.0, 70.0, 75.0), LANDMARKS_XY, 0.9)


class _Counting:
    """Counts the searches, and finds the same in each."""

    def __init__(self, *found: Detection) -> None:
        self._found = found
        self.searches = 0

    def detect(self, _picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        self.searches += 1
        return self._found


def grey(*shades: int) -> list[Bgr]:
    return [np.full((96, 96, 3), shade, np.uint8) for shade in shades]


def frames(pictures: Sequence[Bgr]) -> list[Frame]:
    """Two a second."""
    return [
        Frame(info=frame_info(sequence=n, captured_at_s=START_S + n / FPS), jpeg=encode_jpeg(picture, 90))
        for n, picture in enumerate(pictures)
    ]


def process(stage: DetectStage, pictures: Sequence[Bgr]) -> list[Done[DetectOutput]]:
    """The outcomes for these frames, one by one."""
    outcomes = [stage.process([one])[0] for one in frames(pictures)]
    assert all(isinstance(one, Done) for one in outcomes)
    return [one for one in outcomes if isinstance(one, Done)]


def gated(detector: _Counting | YuNet, **arguments: Any) -> DetectStage:  # noqa: ANN401
    return DetectStage(detector, motion=MotionGate(STILL_S), **arguments)


def test_an_empty_scene_is_searched_again_after_a_while() -> None:
    detector = _Counting()
    outcomes = process(gated(detector), grey(*[100] * (2 * EVERY + 1)))
    assert detector.searches == 3
    assert [n for n, one in enumerate(outcomes) if not one.is_still] == [0, EVERY, 2 * EVERY]
    updates = [n for n, one in enumerate(outcomes) if one.outputs]
    assert updates == list(range(0, 2 * EVERY + 1, FPS)), "once a second, as with a search of each frame"


def test_motion_is_searched_at_once() -> None:
    outcomes = process(gated(_Counting()), grey(100, 100, 140, 140, 100))
    assert [one.is_still for one in outcomes] == [False, True, False, True, False]


def test_a_face_that_may_still_vote_is_searched_each_time() -> None:
    detector = _Counting(FACE)
    process(gated(detector), grey(*[100] * 20))
    assert detector.searches == 20


def test_a_still_visit_is_the_one_that_each_search_would_give() -> None:
    pictures = [astronaut()] * (22 * FPS)
    searched, gate = DetectStage(YuNet(weights("yunet"), 320)), gated(YuNet(weights("yunet"), 320))
    expected, outcomes = process(searched, pictures), process(gate, pictures)
    still = sum(bool(one.is_still) for one in outcomes)
    assert still > 2 * FPS
    assert sum(one.skipped == (SkipReason.STILL,) for one in outcomes) == still
    assert sum(len(one.skipped) for one in outcomes) == sum(len(one.skipped) for one in expected)
    assert _told(gate.finish()[0].info) == _told(searched.finish()[0].info)


def _told(update: TrackUpdateInfo) -> list[tuple[object, ...]]:
    return [
        (one.track_id, one.first_seen_s, one.last_seen_s, one.frames, one.votes_sent) for one in update.tracks
    ]


def test_still_frames_of_one_batch_are_not_searched() -> None:
    detector = _Counting()
    stage, batch = gated(detector), frames(grey(*[100] * EVERY))
    stage.process(batch[:1])
    stage.process(batch[1:])
    assert detector.searches == 1


def test_after_a_takeover_the_first_frame_is_searched() -> None:
    detector = _Counting()
    stage, batch = gated(detector), frames(grey(100, 100, 100))
    stage.process(batch[:2])
    assert detector.searches == 1
    stage.restore(stage.take_checkpoints())
    stage.process(batch[2:])
    assert detector.searches == 2


@pytest.mark.parametrize(
    "needs_pictures",
    [{"selection": "all"}, {"preview": PreviewRenderer(64, "blurred")}],
    ids=["all", "preview"],
)
def test_where_each_picture_is_needed_each_is_searched(needs_pictures: dict[str, object]) -> None:
    detector = _Counting()
    process(gated(detector, **needs_pictures), grey(*[100] * 4))
    assert detector.searches == 4
