"""Messages as bytes: the layout is fixed byte for byte, and other bytes are refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.shared.errors import BadMessage, SchemaMismatch
from agegender.shared.messages.codec import (
    CAMERA_NOTICE_CODEC,
    FACE_CODEC,
    FACES_CODEC,
    FRAME_CODEC,
    PREVIEW_CODEC,
    RESULT_CODEC,
    RESULTS_CODEC,
    STORED_CODEC,
    TRACK_UPDATE_CODEC,
    AnyCodec,
    Codec,
    Encoded,
)
from agegender.shared.messages.pipeline import (
    CAMERA_ID_PATTERN,
    Face,
    FaceInfo,
    Frame,
    FrameInfo,
    Model,
    Preview,
    Result,
    TrackSummary,
    TrackUpdate,
    TrackUpdateInfo,
)
from tests.support.made_messages import (
    camera_notice,
    face,
    face_info,
    frame,
    frame_info,
    preview,
    result,
    track_update,
    unclassified_result,
)

# What services of different versions exchange. A change of these bytes is a new schema version.
_FRAME_JSON = (
    '{"camera_id":"cam1","stream_id":"s1","sequence":0,"captured_at_s":1700000000.0,"clock":"arrival",'
    '"published_at_s":1700000000.25,"width_px":640,"height_px":360}'
)
_FILE_FRAME_JSON = _FRAME_JSON.removesuffix("}") + ',"media_time_s":1.5,"file":"a/ü.mp4"}'
_FACE_JSON = (
    f'{{"frame":{_FRAME_JSON},"index":0,"faces_in_frame":1,"box_xyxy":[100.0,80.0,140.0,130.5],'
    '"landmarks_xy":[[110.0,95.0],[130.0,95.0],[120.0,108.0],[112.0,118.0],[128.0,118.0]],'
    '"score":0.9,"detected_at_s":1700000000.5}'
)
_RATED_FACE_JSON = _FACE_JSON.replace('"score":0.9', '"score":0.9,"quality":0.5')
_TRACKED_FACE_JSON = _FACE_JSON.replace('"score":0.9', '"score":0.9,"track_id":"t7"')
_RESULT_JSON = (
    f'{{"face":{_FACE_JSON},"age_years":34.0,"gender":"female","gender_confidence":0.75,"nets":"nets-1",'
    '"classified_at_s":1700000001.0}'
)
_INTERVAL_RESULT_JSON = _RESULT_JSON.replace(
    '"age_years":34.0', '"age_years":34.0,"age_interval_years":[26.5,41.0]'
)
_UNCLASSIFIED_RESULT_JSON = (
    f'{{"face":{_FACE_JSON},"unclassified":"too-small","gender":"unknown","gender_confidence":0.5,"nets":"nets-1",'
    '"classified_at_s":1700000001.0}'
)
_TRACK_UPDATE_JSON = (
    f'{{"frame":{_FRAME_JSON},"frame_rate_hz":5.0,"captured_rate_hz":5.0,"tracks":[],'
    '"detected_at_s":1700000000.5}'
)
_NOTICE_JSON = (
    '{"camera_id":"cam1","state":"failing","reason":"login","detail":"no","since_s":1699999995.0,'
    '"noticed_at_s":1700000000.0}'
)
_PICTURE = bytes.fromhex("ffd8001122ffd9")


def _golden(schema: str, key: str, value: bytes, meta: str) -> Encoded:
    return Encoded(key.encode(), value, (("schema", schema.encode()), ("meta", meta.encode())))


GOLDEN: list[Any] = [
    pytest.param(
        FRAME_CODEC,
        frame(jpeg=_PICTURE),
        _golden("frame/1", "cam1", _PICTURE, _FRAME_JSON),
        id="frame",
    ),
    pytest.param(
        FRAME_CODEC,
        Frame(info=frame_info().model_copy(update={"media_time_s": 1.5, "file": "a/ü.mp4"}), jpeg=_PICTURE),
        _golden("frame/1", "cam1", _PICTURE, _FILE_FRAME_JSON),
        id="frame-of-a-file",
    ),
    pytest.param(
        FRAME_CODEC,
        Frame(info=frame_info().model_copy(update={"mode": "complete"}), jpeg=_PICTURE),
        _golden("frame/1", "cam1", _PICTURE, _FRAME_JSON.removesuffix("}") + ',"mode":"complete"}'),
        id="frame-of-a-camera-of-which-nothing-may-be-dropped",
    ),
    pytest.param(
        FACE_CODEC,
        face(chip_jpeg=_PICTURE),
        _golden("face/1", "cam1/0", _PICTURE, _FACE_JSON),
        id="face",
    ),
    pytest.param(
        FACE_CODEC,
        face(face_info().model_copy(update={"track_id": "t7"}), chip_jpeg=_PICTURE),
        _golden("face/1", "cam1/t7", _PICTURE, _TRACKED_FACE_JSON),
        id="face-of-a-track",
    ),
    pytest.param(
        FACE_CODEC,
        face(face_info().model_copy(update={"quality": 0.5}), chip_jpeg=_PICTURE),
        _golden("face/1", "cam1/0", _PICTURE, _RATED_FACE_JSON),
        id="face-with-a-quality",
    ),
    pytest.param(
        TRACK_UPDATE_CODEC,
        track_update(),
        _golden("track-update/2", "cam1", b"", _TRACK_UPDATE_JSON),
        id="track_update",
    ),
    pytest.param(
        PREVIEW_CODEC,
        preview(jpeg=_PICTURE),
        _golden("preview/1", "cam1", _PICTURE, _FRAME_JSON),
        id="preview",
    ),
    pytest.param(
        CAMERA_NOTICE_CODEC,
        camera_notice(detail="no"),
        _golden("camera-notice/1", "cam1", _NOTICE_JSON.encode(), "{}"),
        id="notice",
    ),
    pytest.param(
        RESULT_CODEC,
        result(),
        _golden("result/2", "cam1", _RESULT_JSON.encode(), "{}"),
        id="result",
    ),
    pytest.param(
        RESULT_CODEC,
        result().model_copy(update={"age_interval_years": (26.5, 41.0)}),
        _golden("result/2", "cam1", _INTERVAL_RESULT_JSON.encode(), "{}"),
        id="result-with-an-interval",
    ),
    pytest.param(
        RESULT_CODEC,
        unclassified_result(),
        _golden("result/2", "cam1", _UNCLASSIFIED_RESULT_JSON.encode(), "{}"),
        id="result-of-a-face-not-classified",
    ),
]


@pytest.mark.parametrize(("codec", "message", "golden"), GOLDEN)
def test_a_message_is_laid_out_byte_for_byte(codec: Codec[Model], message: Model, golden: Encoded) -> None:
    assert codec.encode(message) == golden
    assert codec.decode(golden) == message


def test_the_size_counts_key_value_and_headers() -> None:
    assert Encoded(b"abc", b"12", (("name", b"x"), ("n", b"yz"))).size_bytes == 3 + 2 + 5 + 3


_SECONDS = st.floats(0, 1e11)
_COORDINATE = st.floats(-1e6, 1e6)
_POINT = st.tuples(_COORDINATE, _COORDINATE)
_SHARE = st.floats(0, 1)
_FRAME_INFOS = st.builds(
    FrameInfo,
    camera_id=st.from_regex(CAMERA_ID_PATTERN.replace("$", r"\Z"), fullmatch=True),
    stream_id=st.from_regex(r"[0-9a-z]{1,24}", fullmatch=True),
    sequence=st.integers(0, 2**53 - 1),
    captured_at_s=_SECONDS,
    clock=st.sampled_from(["camera", "arrival"]),
    published_at_s=_SECONDS,
    width_px=st.integers(1, 65_535),
    height_px=st.integers(1, 65_535),
    media_time_s=st.none() | _SECONDS,
    file=st.none() | st.text(),
    mode=st.sampled_from([None, "live", "complete"]),
)
_TRACK_IDS = st.from_regex(r"[0-9a-z-]{1,48}", fullmatch=True)
_FACE_INFOS = st.builds(
    FaceInfo,
    frame=_FRAME_INFOS,
    index=st.integers(0, 500),
    faces_in_frame=st.integers(1, 500),
    box_xyxy=st.tuples(_COORDINATE, _COORDINATE, _COORDINATE, _COORDINATE),
    landmarks_xy=st.tuples(_POINT, _POINT, _POINT, _POINT, _POINT),
    score=_SHARE,
    quality=st.none() | _SHARE,
    track_id=st.none() | _TRACK_IDS,
    vote=st.none() | st.integers(1, 99),
    detected_at_s=_SECONDS,
)
_PICTURES = st.binary(min_size=1, max_size=300)


@given(st.builds(Frame, info=_FRAME_INFOS, jpeg=_PICTURES))
def test_any_frame_comes_back_as_it_went(message: Frame) -> None:
    assert FRAME_CODEC.decode(FRAME_CODEC.encode(message)) == message


@given(st.builds(Face, info=_FACE_INFOS, chip_jpeg=_PICTURES))
def test_any_face_comes_back_as_it_went(message: Face) -> None:
    assert FACE_CODEC.decode(FACE_CODEC.encode(message)) == message


_CLASSIFIED = st.builds(
    Result,
    face=_FACE_INFOS,
    age_years=st.floats(40, 60),
    age_interval_years=st.none() | st.tuples(st.floats(0, 40), st.floats(60, 130)),
    gender=st.sampled_from(["female", "male", "unknown"]),
    gender_confidence=_SHARE,
    male_probability=st.none() | _SHARE,
    nets=st.text(),
    classified_at_s=_SECONDS,
)
_NOT_CLASSIFIED = st.builds(unclassified_result, _FACE_INFOS, st.sampled_from(["too-small", "too-blurred"]))


@given(_CLASSIFIED | _NOT_CLASSIFIED)
def test_any_result_comes_back_as_it_went(message: Result) -> None:
    assert RESULT_CODEC.decode(RESULT_CODEC.encode(message)) == message


_SIGHTINGS = st.builds(
    TrackSummary,
    track_id=_TRACK_IDS,
    first_seen_s=_SECONDS,
    last_seen_s=_SECONDS,
    frames=st.integers(1, 2**31),
    votes_sent=st.integers(0, 99),
    unclassified=st.none() | st.sampled_from(["too-small", "too-blurred"]),
    box_xyxy=st.tuples(_COORDINATE, _COORDINATE, _COORDINATE, _COORDINATE),
    ended=st.booleans(),
)
_TRACK_UPDATES = st.builds(
    TrackUpdate,
    info=st.builds(
        TrackUpdateInfo,
        frame=_FRAME_INFOS,
        frame_rate_hz=st.none() | st.floats(0, 1e3),
        captured_rate_hz=st.none() | st.floats(0, 1e3),
        tracks=st.lists(_SIGHTINGS, max_size=3).map(tuple),
        detected_at_s=_SECONDS,
    ),
)


@given(_TRACK_UPDATES)
def test_any_track_update_comes_back_as_it_went(message: TrackUpdate) -> None:
    assert TRACK_UPDATE_CODEC.decode(TRACK_UPDATE_CODEC.encode(message)) == message


@given(st.builds(Preview, info=_FRAME_INFOS, jpeg=_PICTURES))
def test_any_preview_comes_back_as_it_went(message: Preview) -> None:
    encoded = PREVIEW_CODEC.encode(message)
    assert PREVIEW_CODEC.decode(encoded) == STORED_CODEC.decode(encoded) == message
    with pytest.raises(BadMessage, match="schema is 'preview/1', expected 'result/2' or 'track-update/2'"):
        RESULTS_CODEC.decode(encoded)


def test_a_track_update_never_carries_a_picture() -> None:
    encoded = TRACK_UPDATE_CODEC.encode(track_update())._replace(value=_PICTURE)
    assert TRACK_UPDATE_CODEC.encode(TRACK_UPDATE_CODEC.decode(encoded)).value == b""


@given(_TRACK_UPDATES, st.builds(Face, info=_FACE_INFOS, chip_jpeg=_PICTURES), _CLASSIFIED)
def test_a_topic_of_two_kinds_tells_them_apart(track_update: TrackUpdate, face: Face, result: Result) -> None:
    for message in (track_update, face):
        assert FACES_CODEC.decode(FACES_CODEC.encode(message)) == message
    for other in (track_update, result):
        assert RESULTS_CODEC.decode(RESULTS_CODEC.encode(other)) == other


def test_a_refusal_names_all_types_of_the_topic() -> None:
    stray = FRAME_CODEC.encode(frame())
    with pytest.raises(BadMessage, match=r"schema is 'frame/1', expected 'face/1' or 'track-update/2'"):
        FACES_CODEC.decode(stray)


def test_fields_that_a_newer_version_added_are_ignored() -> None:
    newer = _FRAME_JSON.removesuffix("}") + ',"weather":"rain"}'
    encoded = _golden("frame/1", "cam1", _PICTURE, newer)
    assert FRAME_CODEC.decode(encoded) == frame(jpeg=_PICTURE)
    with_header = encoded._replace(headers=(*encoded.headers, ("trace", b"\xff\x00")))
    assert FRAME_CODEC.decode(with_header) == frame(jpeg=_PICTURE)


def test_a_later_layout_waits_for_an_upgrade() -> None:
    for schema in (b"frame/2", b"frame/10"):
        with pytest.raises(SchemaMismatch, match=r"this worker reads up to 'frame/1': upgrade it"):
            FRAME_CODEC.decode(_frame_bytes(schema=schema))
    with pytest.raises(
        SchemaMismatch, match=r"schema 'track-update/3', and this worker reads up to 'track-update/2'"
    ):
        FACES_CODEC.decode(_frame_bytes(schema=b"track-update/3"))


@pytest.mark.parametrize(
    ("codec", "schema"),
    [(RESULT_CODEC, b"result/1"), (RESULTS_CODEC, b"presence/1"), (FACES_CODEC, b"track-update/1")],
)
def test_an_old_layout_tells_the_operator_to_start_afresh(codec: AnyCodec[Any], schema: bytes) -> None:
    """As dead letters, all old messages would pass one by one, and a run of them would end the worker."""
    with pytest.raises(SchemaMismatch, match=r"has the old schema .*: stop the services, delete the topics"):
        codec.decode(_frame_bytes(schema=schema))


def _frame_bytes(
    *, schema: bytes | None = b"frame/1", meta: bytes | None = _FRAME_JSON.encode(), value: bytes = b"picture"
) -> Encoded:
    named = (("schema", schema), ("meta", meta))
    return Encoded(b"cam1", value, tuple((name, data) for name, data in named if data is not None))


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        pytest.param(Encoded(b"", b"", ()), "no 'schema' header: not a message of this system", id="bare"),
        pytest.param(_frame_bytes(schema=b"frame/0"), "schema is 'frame/0', expected 'frame/1'", id="older"),
        pytest.param(_frame_bytes(schema=b"frame/x"), "schema is 'frame/x', expected 'frame/1'", id="word"),
        pytest.param(_frame_bytes(schema=b"face/1"), "schema is 'face/1', expected 'frame/1'", id="other"),
        pytest.param(_frame_bytes(schema=b""), "schema is '', expected 'frame/1'", id="no-name"),
        pytest.param(
            _frame_bytes(schema=b"\xff"), "schema is '\N{REPLACEMENT CHARACTER}', expected", id="bin"
        ),
        pytest.param(_frame_bytes(meta=None), "frame/1: message: Invalid JSON: EOF", id="no-meta"),
        pytest.param(
            _frame_bytes(meta=b'{"camera_id": "ca'), "frame/1: message: Invalid JSON: EOF", id="cut"
        ),
        pytest.param(_frame_bytes(meta=b"\xff\xfe"), "frame/1: message: Invalid JSON", id="no-utf8"),
        pytest.param(_frame_bytes(meta=b"[]"), "frame/1: message: Input should be an object", id="list"),
        pytest.param(_frame_bytes(meta=b"{}"), "frame/1: camera_id: Field required", id="empty-object"),
        pytest.param(_frame_bytes(meta=b"[" * 100_000), "frame/1: message: Invalid JSON", id="nested"),
        pytest.param(_frame_bytes(value=b""), "frame/1: jpeg: .*at least 1", id="no-picture"),
        pytest.param(
            _frame_bytes(meta=_FRAME_JSON.replace('"sequence":0', '"sequence":-1').encode()),
            "frame/1: sequence: Input should be greater than or equal to 0",
            id="field",
        ),
        pytest.param(
            _frame_bytes(meta=_FRAME_JSON.replace('"sequence":0', '"sequence":NaN').encode()),
            "frame/1: sequence: ",
            id="nan",
        ),
    ],
)
def test_bytes_that_are_no_frame_are_bad_with_a_reason(encoded: Encoded, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason) as raised:
        FRAME_CODEC.decode(encoded)
    assert len(str(raised.value)) < 200


def test_the_place_of_a_fault_inside_a_message_is_named() -> None:
    encoded = RESULT_CODEC.encode(result())
    broken = encoded._replace(value=encoded.value.replace(b'"width_px":640', b'"width_px":"wide"'))
    with pytest.raises(BadMessage, match=r"result/2: face\.frame\.width_px: Input should be a valid integer"):
        RESULT_CODEC.decode(broken)


def test_more_json_than_any_message_has_is_refused_unread() -> None:
    frame_, result_ = FRAME_CODEC.encode(frame()), RESULT_CODEC.encode(result())
    much = b"{" + b"[" * 300_000
    with pytest.raises(BadMessage, match="frame/1: 300001 bytes of JSON, expected 294912 at most"):
        FRAME_CODEC.decode(frame_._replace(headers=(frame_.headers[0], ("meta", much))))
    with pytest.raises(BadMessage, match="result/2: 300001 bytes of JSON"):
        RESULT_CODEC.decode(result_._replace(value=much))


@given(st.binary(max_size=64), st.binary(max_size=64), st.binary(max_size=64))
def test_no_bytes_do_worse_than_being_bad(key: bytes, value: bytes, meta: bytes) -> None:
    for codec in (FRAME_CODEC, FACE_CODEC, RESULT_CODEC):
        encoded = Encoded(key, value, (("schema", codec.schema.encode()), ("meta", meta)))
        with pytest.raises(BadMessage):
            codec.decode(encoded)
