"""One classified face in words for people, and as a flat record for programs."""

from __future__ import annotations

from datetime import tzinfo

from agegender.shared.messages.pipeline import FaceInfo, Result
from agegender.shared.messages.visits import Visit
from agegender.shared.times import iso_time


def face_label(classified: Result | Visit) -> str:
    """A face or a visit in a few letters: `female 34`, `? 34` for an unknown gender, or `too small`."""
    if classified.age_years is None:
        return age_text(classified)
    gender = "?" if classified.gender == "unknown" else classified.gender
    return f"{gender} {age_text(classified)}"


def age_text(classified: Result | Visit) -> str:
    """The age in whole years, or why there is none: `34`, `too small`, `not yet`."""
    if classified.age_years is None:
        return (classified.unclassified or "unknown").replace("-", " ")
    return f"{classified.age_years:.0f}"


def interval_text(years: tuple[float, float] | None) -> str:
    """An interval of ages in whole years, `27\N{EN DASH}41`; empty where there is none."""
    return "" if years is None else f"{years[0]:.0f}\N{EN DASH}{years[1]:.0f}"


def gender_texts(result: Result) -> tuple[str, str]:
    """The gender and its confidence: `female` and `97 %`; both empty for an unclassified face."""
    if result.unclassified is not None:
        return "", ""
    return result.gender, f"{result.gender_confidence * 100:.0f} %"


def face_size(face: FaceInfo) -> str:
    """Width and height of the face's box."""
    left, top, right, bottom = face.box_xyxy
    return f"{right - left:.0f} x {bottom - top:.0f} px"


def face_record(result: Result, zone: tzinfo | None = None) -> dict[str, object]:
    """One face as a flat record of plain values, ready for JSON.

    Times that end in `_s` are seconds since 1970 UTC; `captured_at` is the same in `zone`, or in local time.
    Boxes are left, top, right, bottom in pixels of the frame.
    """
    face = result.face
    frame = face.frame
    return {
        "camera": frame.camera_id,
        "face_id": face.face_id,
        "captured_at": iso_time(frame.captured_at_s, zone),
        "captured_at_s": frame.captured_at_s,
        "clock": frame.clock,
        "age_years": result.age_years,
        "age_interval_years": result.age_interval_years,
        "unclassified": result.unclassified,
        "gender": result.gender,
        "gender_confidence": result.gender_confidence,
        "male_probability": result.male_probability,
        "nets": result.nets,
        "box_xyxy": face.box_xyxy,
        "landmarks_xy": face.landmarks_xy,
        "score": face.score,
        "quality": face.quality,
        "track_id": face.track_id,
        "index": face.index,
        "faces_in_frame": face.faces_in_frame,
        "frame_wh": (frame.width_px, frame.height_px),
        "file": frame.file,
        "media_time_s": frame.media_time_s,
    }
