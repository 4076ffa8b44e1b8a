"""What is drawn on the frames of a video, and in which of them a face is covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender.analysis.analyzer import AnalyzedFrame
from agegender.analysis.people import Analyzed, People
from agegender.analysis.video_frames import VideoFrame
from agegender.commands.analyze.copies import Style, VideoCopy, picture_marks
from agegender.commands.analyze.writing import CannotWrite, write_picture
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import Result
from tests.support.faces import ASTRONAUT_BOX_XYXY, astronaut, no_face
from tests.support.made_messages import face_info, frame_info, result, unclassified_result

_FPS = Fraction(25)


def seen(number: int, faces: Sequence[Result] | None) -> AnalyzedFrame:
    """A frame with the portrait, in which the detector found `faces`, or that was not looked at."""
    time_s = float(number / _FPS)
    moment = VideoFrame(number, time_s, faces is not None, 0.0, "arrival", astronaut)
    found = None if faces is None else Analyzed(frame_info(), time_s, tuple(faces))
    return AnalyzedFrame(moment, astronaut(), found)


def portrait_found() -> Result:
    return result(face_info().model_copy(update={"box_xyxy": ASTRONAUT_BOX_XYXY}))


def shown(style: Style, frames: Sequence[AnalyzedFrame]) -> list[Bgr]:
    people, copy = People(), VideoCopy(style, _FPS)
    pictures: list[Bgr] = []
    for frame in frames:
        known = people.add(frame.found) if frame.found is not None else []
        pictures += [picture for picture, _ in copy.add(frame, known)]
    return pictures + [picture for picture, _ in copy.finish()]


def detail(picture: Bgr) -> int:
    """The sharpest edge in the middle of the face: over 100 in the portrait."""
    grey = cv2.cvtColor(picture[90:150, 195:250], cv2.COLOR_BGR2GRAY).astype(int)
    return int(np.abs(np.diff(grey, axis=0)).max())


def test_a_face_is_anonymized_in_frames_where_it_was_missed() -> None:
    found = [portrait_found()]
    frames = [seen(n, [] if n in (0, 1, 6, 7, 14, 15) else found) for n in range(16)]
    pictures = shown(Style(anonymizes=True, labels=False), frames)
    assert len(pictures) == 16
    assert detail(astronaut()) > 60
    assert max(detail(picture) for picture in pictures) < 15


def test_a_doubtful_face_is_anonymized_and_not_marked() -> None:
    doubtful = replace(seen(0, []), found=Analyzed(frame_info(), 0.0, (), (ASTRONAUT_BOX_XYXY,)))
    (covered,) = shown(Style(anonymizes=True), [doubtful])
    assert detail(covered) < 15
    (open_face,) = shown(Style(), [doubtful])
    np.testing.assert_array_equal(open_face, astronaut())


def test_where_no_face_is_near_in_time_nothing_is_covered() -> None:
    frames = [seen(n, [portrait_found()] if n == 0 else []) for n in range(40)]
    pictures = shown(Style(anonymizes=True, labels=False), frames)
    np.testing.assert_array_equal(pictures[-1], astronaut())


def test_a_skipped_frame_shows_the_boxes_of_the_last_one() -> None:
    frames = [seen(n, [portrait_found()] if n % 5 == 0 else None) for n in range(10)]
    pictures = shown(Style(), frames)
    left, top, right, _ = (round(side) for side in ASTRONAUT_BOX_XYXY)
    for picture in pictures:
        assert np.abs(picture[top, left:right].astype(int) - astronaut()[top, left:right]).mean() > 20


def test_labels_tell_age_interval_gender_or_why_there_is_none() -> None:
    sure = result().model_copy(update={"age_interval_years": (27.4, 40.6)})
    unknown = result(gender="unknown")
    marks = picture_marks([sure, unknown, unclassified_result()])
    assert [mark.text for mark in marks] == ["female 34 (27\N{EN DASH}41)", "? 34", "too small"]


@pytest.mark.parametrize("name", ["copy.jpg", "copy.png", "deep/er/copy.webp"])
def test_a_copy_holds_nothing_but_the_pixels(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, no_face())
    data = (tmp_path / name).read_bytes()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    assert b"Exif" not in data


def test_a_copy_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"cannot write .*copy\.jpg"):
        write_picture(tmp_path / "file" / "copy.jpg", no_face())
    with pytest.raises(CannotWrite, match=r"\.webp holds no picture of 20000 x 2 pixels"):
        write_picture(tmp_path / "wide.webp", no_face(20_000, 2))
