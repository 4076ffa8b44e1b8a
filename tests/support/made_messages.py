"""Messages made up for tests. Each is valid, and every field can be set."""

from __future__ import annotations

from shared.messages import Face, FaceInfo, Frame, FrameInfo, Gender, Result, Unjudged

JPEG = b"\xff\xd8 a picture \xff\xd9"
"""Stands for a picture where nothing decodes it."""


def frame_info(
    camera_id: str = "cam1", stream_id: str = "s1", sequence: int = 0, captured_at_s: float = 1_700_000_000.0
) -> FrameInfo:
    """The description of a frame of 640 x 360 pixels."""
    return FrameInfo(
        camera_id=camera_id,
        stream_id=stream_id,
        sequence=sequence,
        captured_at_s=captured_at_s,
        clock="arrival",
        published_at_s=captured_at_s + 0.25,
        width_px=640,
        height_px=360,
    )


def frame(camera_id: str = "cam1", sequence: int = 0, *, jpeg: bytes = JPEG) -> Frame:
    """A frame that holds `jpeg`."""
    return Frame(info=frame_info(camera_id, sequence=sequence), jpeg=jpeg)


def face_info(frame: FrameInfo | None = None, index: int = 0, faces_in_frame: int = 1) -> FaceInfo:
    """The description of a face of 40 x 50 pixels in `frame`."""
    left = 100.0 + 60.0 * index
    return FaceInfo(
        frame=frame or frame_info(),
        index=index,
        faces_in_frame=faces_in_frame,
        box_xyxy=(left, 80.0, left + 40.0, 130.5),
        landmarks_xy=(
            (left + 10, 95.0),
            (left + 30, 95.0),
            (left + 20, 108.0),
            (left + 12, 118.0),
            (left + 28, 118.0),
        ),
        score=0.9,
        detected_at_s=1_700_000_000.5,
    )


def face(info: FaceInfo | None = None, *, chip_jpeg: bytes = JPEG) -> Face:
    """A face that holds `chip_jpeg`."""
    return Face(info=info or face_info(), chip_jpeg=chip_jpeg)


def result(info: FaceInfo | None = None, *, age_years: float = 34.0, gender: Gender = "female") -> Result:
    """A judgement of `info`."""
    return Result(
        face=info or face_info(),
        age_years=age_years,
        gender=gender,
        gender_confidence=0.75,
        nets="nets-1",
        classified_at_s=1_700_000_001.0,
    )


def unjudged_result(info: FaceInfo | None = None, why: Unjudged = "too-small") -> Result:
    """A face that was not judged."""
    return Result(
        face=info or face_info(),
        unjudged=why,
        gender="unknown",
        gender_confidence=0.5,
        nets="nets-1",
        classified_at_s=1_700_000_001.0,
    )
