"""Single frames pass detect: a chip for each face, bad frames with their reason."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr, decode_picture, encode_jpeg
from agegender.shared.messages.pipeline import Face, Frame
from agegender.shared.models import weights
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.stage import Bad, Done, Dropped, DropReason, Outcome
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.made_messages import frame, frame_info

NOW_S = 1_700_000_005.0
HEAD_XYXY = (124, 14, 324, 214)


@pytest.fixture(scope="module")
def stage() -> DetectStage:
    return DetectStage(YuNet(weights("yunet")), clock=lambda: NOW_S)


@pytest.fixture(scope="module")
def astronaut() -> Bgr:
    return np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)


@pytest.fixture(scope="module")
def head(astronaut: Bgr) -> Bgr:
    """200 x 200 px with a face of about 90 px in the middle."""
    left, top, right, bottom = HEAD_XYXY
    return astronaut[top:bottom, left:right]


def frame_of(picture_bgr: Bgr, sequence: int = 0) -> Frame:
    return frame(sequence=sequence, jpeg=encode_jpeg(picture_bgr, 95))


def find(stage: DetectStage, frames: Sequence[Frame]) -> list[Outcome[Face]]:
    return [stage.find(one) for one in frames]


def faces_of(outcome: Outcome[Face]) -> Sequence[Face]:
    assert isinstance(outcome, Done)
    for face in outcome.outputs:
        assert decode_picture(face.chip_jpeg).shape == (CHIP_SIDE_PX, CHIP_SIDE_PX, 3)
        assert face.info.score >= 0.7
        _assert_landmarks_in_picture_order(face)
    return outcome.outputs


def _assert_landmarks_in_picture_order(face: Face) -> None:
    left, top, right, bottom = face.info.box_xyxy
    (eye_x, eye_y), (other_eye_x, _), (nose_x, nose_y), (mouth_x, mouth_y), (other_x, _) = (
        face.info.landmarks_xy
    )
    assert left < eye_x < nose_x < other_eye_x < right
    assert left < mouth_x < other_x < right
    assert top < eye_y < nose_y < mouth_y < bottom


def test_a_frame_without_a_face_is_done_and_gives_nothing(stage: DetectStage) -> None:
    grey = np.full((360, 640, 3), 128, np.uint8)
    assert find(stage, [frame_of(grey)]) == [Done(())]


def test_a_face_is_described_and_cut(stage: DetectStage, astronaut: Bgr) -> None:
    sent = frame_of(astronaut, sequence=7)
    (face,) = faces_of(*find(stage, [sent]))
    assert face.info.frame == sent.info
    assert face.info.face_id == "cam1/s1/7/0"
    assert face.info.faces_in_frame == 1
    assert face.info.detected_at_s == NOW_S
    assert face.info.box_xyxy == pytest.approx((178, 63, 268, 176), abs=4)
    chip = decode_picture(face.chip_jpeg)
    assert chip[40:120, 40:120].std() > 20, "the chip is not flat"


def test_a_face_says_how_well_it_is_shown(stage: DetectStage, astronaut: Bgr) -> None:
    blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 4), np.uint8)
    smaller = np.asarray(cv2.resize(astronaut, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
    outcomes = find(stage, [frame_of(one) for one in (astronaut, smaller, blurred)])
    good, small, bad = (faces_of(one)[0].info.quality for one in outcomes)
    assert good is not None
    assert small is not None
    assert good > 0.8 > small > 0.2
    assert bad == 0


def test_boxes_are_in_pixels_of_the_full_frame(stage: DetectStage, astronaut: Bgr) -> None:
    large = np.asarray(cv2.resize(astronaut, None, fx=4, fy=4), np.uint8)
    (face,) = faces_of(*find(stage, [frame_of(large)]))
    assert face.info.box_xyxy == pytest.approx((4 * 178, 4 * 63, 4 * 268, 4 * 176), abs=25)


def test_two_faces_of_different_size_come_from_left_to_right(stage: DetectStage, head: Bgr) -> None:
    for scales in ((1.0, 0.5), (0.5, 1.0)):
        canvas = np.full((240, 480, 3), 128, np.uint8)
        for slot, scale in enumerate(scales):
            part = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            canvas[20 : 20 + part.shape[0], 20 + 240 * slot : 20 + 240 * slot + part.shape[1]] = part
        faces = faces_of(*find(stage, [frame_of(canvas)]))
        widths_px = [face.info.box_xyxy[2] - face.info.box_xyxy[0] for face in faces]
        assert [face.info.index for face in faces] == [0, 1]
        assert [face.info.faces_in_frame for face in faces] == [2, 2]
        assert (widths_px[0] > widths_px[1]) == (scales[0] > scales[1])


def test_each_of_many_faces_has_its_own_id_and_chip(stage: DetectStage, head: Bgr) -> None:
    faces = faces_of(*find(stage, [frame_of(np.tile(head, (3, 4, 1)))]))
    assert len(faces) == 12
    assert [face.info.index for face in faces] == list(range(12))
    assert len({face.info.face_id for face in faces}) == 12
    assert {face.info.faces_in_frame for face in faces} == {12}
    assert all(one.info.box_xyxy[0] <= other.info.box_xyxy[0] for one, other in pairwise(faces))
    cells = {tuple(int(c) // 200 for c in face.info.landmarks_xy[2]) for face in faces}
    assert cells == {(column, row) for column in range(4) for row in range(3)}


@pytest.mark.parametrize("left_px", [150, 175, 190])
def test_a_face_at_the_edge_of_the_picture_gets_a_whole_chip(
    stage: DetectStage, astronaut: Bgr, left_px: int
) -> None:
    cut = np.ascontiguousarray(astronaut[:, left_px:])
    (face,) = faces_of(*find(stage, [frame_of(cut)]))
    assert face.info.box_xyxy[0] == pytest.approx(178 - left_px, abs=12)


def test_an_unreadable_frame_is_bad_and_stops_no_other(stage: DetectStage, astronaut: Bgr) -> None:
    good, cut_off = frame_of(astronaut), encode_jpeg(astronaut, 90)[:-2_000]
    batch = [good, frame(jpeg=b"no picture"), frame(jpeg=cut_off), good]
    first, no_picture, truncated, last = find(stage, batch)
    assert len(faces_of(first)) == len(faces_of(last)) == 1
    assert isinstance(no_picture, Bad)
    assert "10 bytes that are no picture" in no_picture.reason
    assert isinstance(truncated, Bad)


def test_a_frame_that_claims_too_many_pixels_is_bad(astronaut: Bgr) -> None:
    stage = DetectStage(YuNet(weights("yunet")), max_pixels=512 * 512 - 1)
    (outcome,) = find(stage, [frame_of(astronaut)])
    assert isinstance(outcome, Bad)
    assert "512 x 512" in outcome.reason


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 3_000), (3_000, 1), (31, 33)])
def test_a_picture_of_any_shape_is_searched(stage: DetectStage, size_wh: tuple[int, int]) -> None:
    picture_bgr = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    assert find(stage, [frame_of(picture_bgr)]) == [Done(())]


def test_an_empty_batch_has_no_outcomes(stage: DetectStage) -> None:
    assert find(stage, []) == []


def test_the_same_frame_gives_the_same_faces(stage: DetectStage, astronaut: Bgr) -> None:
    once, again = find(stage, [frame_of(astronaut), frame_of(astronaut)])
    assert once == again


class _Given:
    """A detector with given detections, because YuNet cannot be made to fail on purpose."""

    def __init__(self, *found: Detection) -> None:
        self._found = found

    def detect(self, _picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        return self._found


def test_landmarks_on_one_point_are_not_a_face() -> None:
    landmarks_xy = np.array([[40.0, 40], [60, 40], [50, 50], [42, 60], [58, 60]])
    real = Detection((30.0, 30.0, 70.0, 70.0), landmarks_xy, 0.9)
    point = Detection((5.0, 5.0, 6.0, 6.0), np.full((5, 2), 5.0), 0.9)
    stage = DetectStage(_Given(point, real), clock=lambda: NOW_S)
    (outcome,) = find(stage, [frame_of(np.zeros((100, 100, 3), np.uint8))])
    (face,) = faces_of(outcome)
    assert face.info.index == 0
    assert face.info.faces_in_frame == 1


def test_a_detection_far_outside_the_picture_does_no_harm() -> None:
    landmarks_xy = np.array([[40.0, 40], [60, 40], [50, 50], [42, 60], [58, 60]])
    for shift, stretch in ((-500.0, 1.0), (900.0, 1.0), (-20_000.0, 50.0)):
        far = Detection((0.0, 0.0, 1.0, 1.0), landmarks_xy * stretch + shift, 0.9)
        (outcome,) = find(DetectStage(_Given(far)), [frame_of(np.zeros((100, 100, 3), np.uint8))])
        assert isinstance(outcome, Done)
        assert len(outcome.outputs) == 1


def test_coordinates_are_rounded_to_hundredths_of_a_pixel() -> None:
    landmarks_xy = np.array([[40.123456, 40], [60, 40], [50, 50], [42, 60], [58, 60]])
    found = Detection((30.129, 30.0, 70.0, 70.0), landmarks_xy, 0.87654321)
    (outcome,) = find(DetectStage(_Given(found)), [Frame(info=frame_info(), jpeg=_black_jpeg())])
    (face,) = faces_of(outcome)
    assert face.info.landmarks_xy[0][0] == 40.12
    assert face.info.box_xyxy[0] == 30.13
    assert face.info.score == 0.8765


def _black_jpeg() -> bytes:
    return encode_jpeg(np.zeros((100, 100, 3), np.uint8), 90)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_frame_that_grows_stale_in_its_batch_is_dropped(threads: int) -> None:
    """Each look takes 4 s here, so the third frame of a batch is 8 s old when its turn comes."""
    now_s = NOW_S

    class Slow:
        def detect(self, _picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
            nonlocal now_s
            now_s += 4.0
            return ()

    stage = DetectStage(
        Slow(),
        more_detectors=[Slow()] * (threads - 1),
        deadline=Deadline(7.0),
        clock=lambda: now_s,
    )
    batch = [
        Frame(info=frame_info(sequence=number, captured_at_s=NOW_S), jpeg=_black_jpeg())
        for number in range(6)
    ]
    outcomes = stage.process(batch)
    assert isinstance(outcomes[0], Done)
    assert outcomes[3:] == [Dropped(DropReason.STALE)] * 3


@pytest.mark.parametrize("media_time_s", [None, 0.2], ids=["picture", "video"])
def test_old_frames_of_a_removed_camera_are_dropped(media_time_s: float | None) -> None:
    """A file misses nothing, unless its camera was removed: then its backlog holds up no live camera."""
    removed: set[str] = set()
    stage = DetectStage(
        _Given(), deadline=Deadline(7.0), clock=lambda: NOW_S, is_removed=removed.__contains__
    )

    def outcomes(first: int) -> list[Outcome[DetectOutput]]:
        """Of a frame 5 s old, and of one 60 s old."""
        picture = encode_jpeg(np.zeros((48, 64, 3), np.uint8), 50)
        found = [frame_info(sequence=first + n, captured_at_s=NOW_S - age) for n, age in enumerate((5, 60))]
        file = {"file": "visit.mp4", "media_time_s": media_time_s}
        return list(stage.process([Frame(info=one.model_copy(update=file), jpeg=picture) for one in found]))

    assert all(isinstance(one, Done) for one in outcomes(0))
    removed.add("cam1")
    fresh, old = outcomes(2)
    assert isinstance(fresh, Done)
    assert old == Dropped(DropReason.REMOVED)
