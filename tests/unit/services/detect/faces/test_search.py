"""Frames are searched in parallel, with the outcomes of a search one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.detections import FrameDetections
from agegender.services.detect.faces.search import FaceSearch
from agegender.services.detect.faces.yunet import Detection
from agegender.services.detect.stage import DetectStage
from agegender.shared.images.pictures import Bgr, encode_jpeg
from agegender.shared.messages.pipeline import Frame
from agegender.shared.runtime.stage import Bad, Done
from tests.support.made_messages import frame

NOW_S = 1_700_000_005.0


class _Together:
    """A detector that answers only when another one is called at the same time."""

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting

    def detect(self, picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        self._meeting.wait(timeout=30)
        shade = float(picture_bgr[0, 0, 0])
        return [Detection((10, 10, 60, 70), np.arange(10, dtype=float).reshape(5, 2) + 20, shade / 255)]


def _frames(shades: Sequence[int]) -> list[Frame]:
    pictures = [np.full((90, 160, 3), shade, np.uint8) for shade in shades]
    return [frame(f"cam{number}", jpeg=encode_jpeg(picture, 95)) for number, picture in enumerate(pictures)]


def _search(detectors: int) -> FaceSearch:
    meeting = threading.Barrier(detectors)
    return FaceSearch([_Together(meeting) for _ in range(detectors)], 10**6, 0.7, lambda: NOW_S)


def test_each_detector_searches_a_frame_in_parallel() -> None:
    shades = [190, 200, 210, 220]
    found = list(_search(2).each(_frames(shades), lambda _: None))
    # They come in the order of the frames.
    assert [round(255 * one.faces[0].score) for one in found if isinstance(one, FrameDetections)] == shades


def test_a_broken_frame_blocks_no_detector() -> None:
    whole = _frames([200, 210])
    broken = frame("cam9", jpeg=b"no picture")
    found = list(_search(2).each([whole[0], broken, whole[1]], lambda _: None))
    assert [isinstance(one, Bad) for one in found] == [False, True, False]


def test_threads_do_not_change_the_outcomes() -> None:
    frames = [
        one.model_copy(update={"info": one.info.model_copy(update={"camera_id": "cam1", "sequence": n})})
        for n, one in enumerate(_frames([200] * 6))
    ]
    frames.insert(3, frames[2])  # a repeat
    alone = _stage(1).process(frames)
    together = _stage(2).process(frames)
    assert together == alone
    assert alone[3] == Done()
    assert sum(bool(getattr(one, "outputs", ())) for one in alone) > 1


class _Asked:
    def __init__(self) -> None:
        self.smallest_px: list[int | None] = []

    def detect(self, _picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        self.smallest_px.append(smallest_face_px)
        return []


def test_the_detector_is_told_the_smallest_face_of_each_frame() -> None:
    detector = _Asked()
    search = FaceSearch([detector], 10**6, 0.5, lambda: NOW_S)
    for one, smallest_px in zip(_frames([200, 200]), (64, None), strict=True):
        info = one.info.model_copy(update={"smallest_face_px": smallest_px})
        search.one(one.model_copy(update={"info": info}))
    assert detector.smallest_px == [64, None]


class _Always:
    def detect(self, picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        points = np.array([(40.0, 30), (60, 30), (50, 45), (42, 60), (58, 60)])
        return [Detection((30.0, 15, 70, 75), points, float(picture_bgr[0, 0, 0]) / 255)]


def _stage(threads: int) -> DetectStage:
    more = [_Always() for _ in range(threads - 1)]
    return DetectStage(_Always(), more_detectors=more, selection="all", clock=lambda: NOW_S)


def test_more_threads_make_larger_batches() -> None:
    assert DetectSettings().batch().max_messages == 8
    assert DetectSettings(threads=4).batch().max_messages == 32
