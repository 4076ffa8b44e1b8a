"""Messages made up for tests. Each is valid, and every field can be set."""

from __future__ import annotations

from agegender.shared.messages.pipeline import (
    CameraNotice,
    Face,
    FaceInfo,
    Frame,
    FrameInfo,
    Gender,
    Preview,
    Result,
    TrackSummary,
    TrackUpdate,
    TrackUpdateInfo,
    Unclassified,
)

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


def stream_at(began_s: float) -> str:
    """The id of a stream that began then, in seconds since 1970."""
    number, digits = int(began_s * 1000), ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


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
    """A classifications of `info`."""
    return Result(
        face=info or face_info(),
        age_years=age_years,
        gender=gender,
        gender_confidence=0.75,
        nets="nets-1",
        classified_at_s=1_700_000_001.0,
    )


def unclassified_result(info: FaceInfo | None = None, why: Unclassified = "too-small") -> Result:
    """A face that was not classified."""
    return Result(
        face=info or face_info(),
        unclassified=why,
        gender="unknown",
        gender_confidence=0.5,
        nets="nets-1",
        classified_at_s=1_700_000_001.0,
    )


def vote(
    track_id: str = "s1-1",
    number: int = 1,
    *,
    camera_id: str = "cam1",
    age_years: float = 34.0,
    male_probability: float = 0.1,
    captured_at_s: float = 1_700_000_000.0,
) -> Result:
    """The classifications of the `number`-th face that has a say in the person's age and gender."""
    stream_id, _, visit = track_id.partition("-")
    info = face_info(frame_info(camera_id, stream_id, 100 + number, captured_at_s), int(visit), 1_000)
    classified = result(info.model_copy(update={"track_id": track_id, "vote": number}), age_years=age_years)
    return classified.model_copy(
        update={
            "age_interval_years": (max(age_years - 5.0, 0.0), age_years + 6.0),
            "male_probability": male_probability,
            "gender": "male" if male_probability > 0.5 else "female",
            "gender_confidence": max(male_probability, 1 - male_probability),
        }
    )


def track_summary(
    track_id: str = "s1-1",
    *,
    first_seen_s: float = 1_700_000_000.0,
    seconds: float = 2.0,
    frames: int = 10,
    votes_sent: int = 1,
    unclassified: Unclassified | None = None,
    ended: bool = False,
) -> TrackSummary:
    """A person seen for some seconds."""
    return TrackSummary(
        track_id=track_id,
        first_seen_s=first_seen_s,
        last_seen_s=first_seen_s + seconds,
        frames=frames,
        votes_sent=votes_sent,
        unclassified=unclassified,
        box_xyxy=(100.0, 80.0, 140.0, 130.5),
        ended=ended,
    )


def track_update(*tracks: TrackSummary, frame: FrameInfo | None = None) -> TrackUpdate:
    """The people seen now."""
    frame = frame or frame_info()
    info = TrackUpdateInfo(
        frame=frame,
        frame_rate_hz=5.0,
        captured_rate_hz=5.0,
        tracks=tracks,
        detected_at_s=frame.captured_at_s + 0.5,
    )
    return TrackUpdate(info=info)


def preview(frame: FrameInfo | None = None, *, jpeg: bytes = JPEG) -> Preview:
    """What a camera sees."""
    return Preview(info=frame or frame_info(), jpeg=jpeg)


def camera_notice(
    camera_id: str = "cam1",
    *,
    noticed_at_s: float = 1_700_000_000.0,
    since_s: float | None = None,
    reason: str = "login",
    detail: str = "401 Unauthorized: the user or the password is wrong",
) -> CameraNotice:
    """A camera that refuses the login."""
    return CameraNotice(
        camera_id=camera_id,
        state="failing",
        reason=reason,
        detail=detail,
        since_s=noticed_at_s - 5.0 if since_s is None else since_s,
        noticed_at_s=noticed_at_s,
    )


def stopped_notice(camera_id: str = "cam1", *, noticed_at_s: float = 1_700_000_000.0) -> CameraNotice:
    """A camera that is not read any more."""
    return CameraNotice(
        camera_id=camera_id,
        state="stopped",
        detail="not read any more",
        since_s=noticed_at_s,
        noticed_at_s=noticed_at_s,
    )
