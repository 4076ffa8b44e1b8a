"""A frame is searched unless it shows what a searched one showed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.motion import MotionGate, Searched
from agegender.shared.images.pictures import Bgr, encode_jpeg
from agegender.shared.messages.pipeline import Frame
from tests.support.faces import astronaut
from tests.support.made_messages import frame_info

STILL_S = 3.0
START_S = 1_700_000_000.0
RANDOM = np.random.default_rng(7)


def scene(size_wh: tuple[int, int] = (320, 180)) -> Bgr:
    return np.asarray(cv2.resize(astronaut(), size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def grainy(picture: Bgr, levels: float = 8.0) -> Bgr:
    return np.clip(picture + RANDOM.normal(0, levels, picture.shape), 0, 255).astype(np.uint8)


def frame(picture: Bgr, at_s: float = 0.0, **fields: object) -> Frame:
    info = frame_info(captured_at_s=START_S + at_s).model_copy(update=fields)
    return Frame(info=info, jpeg=encode_jpeg(picture, 85))


def searched(gate: MotionGate, picture: Bgr) -> Searched:
    found = gate.searched(frame(picture), ())
    assert found is not None
    return found


@pytest.fixture
def gate() -> MotionGate:
    return MotionGate(STILL_S)


@pytest.mark.parametrize("levels", [0, 2, 8, 12])
def test_noise_is_no_motion(gate: MotionGate, levels: float) -> None:
    before = searched(gate, grainy(scene(), levels))
    assert all(gate.shows_the_same(frame(grainy(scene(), levels), 1.0), before) for _ in range(4))


@pytest.mark.parametrize("place_xy", [(3, 5), (300, 170), (611, 333)])
@pytest.mark.parametrize("is_before_its_blur", [False, True])
def test_a_face_of_twenty_pixels_is_seen(
    gate: MotionGate, place_xy: tuple[int, int], is_before_its_blur: bool
) -> None:
    head = cv2.resize(astronaut()[50:190, 165:285], (22, 25), interpolation=cv2.INTER_AREA)
    behind = np.full((360, 640, 3), 120, np.uint8)
    x, y = place_xy
    place = np.s_[y : y + 25, x : x + 22]
    if is_before_its_blur:
        behind[place] = cv2.GaussianBlur(head, (0, 0), 7)
    there = behind.copy()
    there[place] = head
    assert not gate.shows_the_same(frame(grainy(there, 3), 1.0), searched(gate, grainy(behind, 3)))


def test_a_slow_change_adds_up(gate: MotionGate) -> None:
    grey = np.full((360, 640, 3), 100, np.uint8)
    before = searched(gate, grey)
    same = [gate.shows_the_same(frame(grey + np.uint8(levels), 1.0), before) for levels in range(8)]
    assert same == sorted(same, reverse=True)
    assert same[0] != same[-1]


@pytest.mark.parametrize(
    ("at_s", "fields", "is_same"),
    [
        (0.0, {}, True),
        (2.9, {}, True),
        (3.0, {}, False),
        (-0.1, {}, False),
        (1.0, {"stream_id": "s2"}, False),
        (1.0, {"clock": "camera"}, False),
    ],
)
def test_a_search_stands_for_its_stream_and_a_while(
    gate: MotionGate, at_s: float, fields: dict[str, object], is_same: bool
) -> None:
    before = searched(gate, scene())
    assert gate.shows_the_same(frame(scene(), at_s, **fields), before) is is_same


def test_another_size_and_a_broken_picture_are_searched(gate: MotionGate) -> None:
    before = searched(gate, scene())
    assert not gate.shows_the_same(frame(scene((640, 360)), 1.0), before)
    broken = frame(scene(), 1.0).model_copy(update={"jpeg": b"no picture"})
    assert not gate.shows_the_same(broken, before)
    assert gate.searched(broken, ()) is None


def test_each_frame_of_a_file_is_searched(gate: MotionGate) -> None:
    assert gate.searched(frame(scene(), file="visit.mp4", media_time_s=0.0), ()) is None
    assert gate.searched(frame(scene(), mode="complete"), ()) is None
