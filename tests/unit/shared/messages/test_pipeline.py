"""The values that a message accepts and refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agegender.shared.messages.pipeline import AGE_BANDS, FaceInfo, FrameInfo, Result, age_band
from tests.support.made_messages import face, face_info, frame, frame_info, result, unclassified_result


def test_ids_tell_camera_stream_frame_and_place() -> None:
    info = face_info(frame_info("door-2", "s9", sequence=12), index=3, faces_in_frame=4)
    assert info.frame.frame_id == "door-2/s9/12"
    assert info.face_id == "door-2/s9/12/3"


def test_every_message_tells_its_camera_and_when_it_was_captured() -> None:
    info = face_info(frame_info("door-2", captured_at_s=5.5))
    for message in (frame("door-2"), face(info), result(info)):
        assert message.camera_id == "door-2"
    assert face(info).captured_at_s == result(info).captured_at_s == 5.5


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        result().age_years = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("camera_id", ["a", "Door_2.left-B", "0" * 64])
def test_a_camera_id_is_letters_digits_dot_dash_and_underscore(camera_id: str) -> None:
    assert frame_info(camera_id).camera_id == camera_id


@pytest.mark.parametrize(
    "camera_id", ["", "-a", ".a", "a b", "a/b", "a:b", "{a}", "ä", "a\n", "a\nb", "0" * 65, "a\x00"]
)
def test_a_camera_id_unsafe_in_a_key_or_a_label_is_refused(camera_id: str) -> None:
    with pytest.raises(ValidationError, match="camera_id"):
        frame_info(camera_id)


@pytest.mark.parametrize("stream_id", ["", "S1", "a-b", "a" * 25, "a\n"])
def test_a_stream_id_is_up_to_24_small_letters_and_digits(stream_id: str) -> None:
    with pytest.raises(ValidationError, match="stream_id"):
        frame_info(stream_id=stream_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", -1),
        ("sequence", 2**53),
        ("captured_at_s", -0.1),
        ("captured_at_s", 253_402_300_800.0),
        ("captured_at_s", float("nan")),
        ("captured_at_s", float("inf")),
        ("clock", "wall"),
        ("width_px", 0),
        ("height_px", 65_536),
        ("media_time_s", -1.0),
    ],
)
def test_a_frame_refuses_what_cannot_be(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        FrameInfo.model_validate({**frame_info().model_dump(), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", -1),
        ("faces_in_frame", 0),
        ("box_xyxy", (1.0, 2.0, 3.0)),
        ("box_xyxy", (1.0, 2.0, 3.0, float("nan"))),
        ("landmarks_xy", ((1.0, 2.0),) * 4),
        ("score", 1.01),
        ("quality", -0.01),
        ("quality", 1.01),
    ],
)
def test_a_face_refuses_what_cannot_be(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        FaceInfo.model_validate({**face_info().model_dump(), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age_years", -0.1),
        ("age_years", 131),
        ("age_interval_years", (-1.0, 50.0)),
        ("age_interval_years", (30.0, 131.0)),
        ("unclassified", "too-dark"),
        ("gender", "x"),
        ("gender_confidence", -0.1),
    ],
)
def test_a_result_refuses_what_cannot_be(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Result.model_validate({**result().model_dump(), field: value})


@pytest.mark.parametrize("interval", [(35.0, 50.0), (20.0, 33.0), (50.0, 20.0)])
def test_an_age_outside_its_interval_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"the age 34\.0 lies outside its interval"):
        Result.model_validate({**result().model_dump(), "age_interval_years": interval})


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (result(), {"age_years": None}),
        (result(), {"unclassified": "too-small"}),
        (unclassified_result(), {"age_years": 34.0}),
        (unclassified_result(), {"unclassified": None}),
        (unclassified_result(), {"gender": "male"}),
        (unclassified_result(), {"age_interval_years": (30.0, 40.0)}),
    ],
)
def test_a_face_has_an_age_or_a_reason_why_not_and_never_both(
    message: Result, change: dict[str, object]
) -> None:
    with pytest.raises(
        ValidationError, match=r"age_years or the reason|unclassified face has no age interval"
    ):
        Result.model_validate({**message.model_dump(), **change})


def test_a_frame_without_a_picture_is_refused() -> None:
    with pytest.raises(ValidationError, match="jpeg"):
        frame(jpeg=b"")


@pytest.mark.parametrize(
    ("age_years", "band"),
    [(0.0, "0-9"), (9.99, "0-9"), (10.0, "10-19"), (69.9, "60-69"), (70.0, "70+"), (130.0, "70+")],
)
def test_an_age_belongs_to_the_band_of_its_whole_years(age_years: float, band: str) -> None:
    assert age_band(age_years) == band
    assert band in AGE_BANDS
