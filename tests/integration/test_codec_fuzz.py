"""Messages with mistakes: each is read or refused, in bounded time and memory."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.shared.cameras.record import CAMERA_SETTINGS_CODEC, CameraSettings
from agegender.shared.errors import BadMessage, SchemaMismatch
from agegender.shared.messages.codec import (
    CAMERA_NOTICE_CODEC,
    FACE_CODEC,
    FACES_CODEC,
    FRAME_CODEC,
    MAX_MESSAGE_BYTES,
    META_HEADER,
    RESULT_CODEC,
    RESULTS_CODEC,
    SCHEMA_HEADER,
    TRACK_UPDATE_CODEC,
    AnyCodec,
    Encoded,
)
from tests.support.made_messages import camera_notice, face, frame, result, track_summary, track_update

resource = pytest.importorskip("resource", reason="this system does not tell how much memory was used")

_CAMERA = CameraSettings(id="door", source="rtsp://192.0.2.1/live", username="viewer", fps=2.5)
_VALID: Sequence[tuple[AnyCodec[Any], Encoded]] = (
    (FRAME_CODEC, FRAME_CODEC.encode(frame())),
    (FACE_CODEC, FACE_CODEC.encode(face())),
    (FACES_CODEC, FACES_CODEC.encode(face())),
    (RESULT_CODEC, RESULT_CODEC.encode(result())),
    (RESULTS_CODEC, RESULTS_CODEC.encode(result())),
    (TRACK_UPDATE_CODEC, TRACK_UPDATE_CODEC.encode(track_update(track_summary("t1")))),
    (CAMERA_NOTICE_CODEC, CAMERA_NOTICE_CODEC.encode(camera_notice())),
    (CAMERA_SETTINGS_CODEC, CAMERA_SETTINGS_CODEC.encode(_CAMERA)),
)
_TOKENS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b'""',
    b"[]",
    b"{}",
    b"true",
    b'"\\ud800"',
    b"9" * 400,
    b"[" * 200,
)
_MOST_SIGNS = 300
_MOST_JSON_BYTES = 288 * 1024
_MOST_MORE_MB = 250
"""Parsing JSON takes up to 400 times its size in memory."""

_odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def decoded(codec: AnyCodec[Any], encoded: Encoded) -> None:
    """A message that can be sent on, or refused with a reason that fits into a log."""
    with contextlib.suppress(BadMessage, SchemaMismatch):
        try:
            message = codec.decode(encoded)
        except (BadMessage, SchemaMismatch) as error:
            if len(str(error)) > _MOST_SIGNS:
                raise AssertionError(f"a reason of {len(str(error))} signs") from error
            raise
        assert codec.decode(codec.encode(message)) == message


@st.composite
def _cut_up(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with bytes changed, left out, doubled or replaced by what JSON can hold."""
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 10)))
        new = draw(st.sampled_from(_TOKENS) | st.binary(max_size=4) | st.just(data[begin:end] * 2))
        data = data[:begin] + new + data[end:]
    return data


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_message_with_bytes_changed_is_a_message_or_refused(data: st.DataObject) -> None:
    codec, valid = data.draw(st.sampled_from(_VALID))
    headers = tuple((name, data.draw(_cut_up(content))) for name, content in valid.headers)
    decoded(codec, Encoded(valid.key, data.draw(_cut_up(valid.value)), headers))


def _places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to all values inside of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _with(value: Any, place: tuple[str | int, ...], new: object) -> Any:  # noqa: ANN401
    """The same with another value at that place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = _with(value[place[0]], place[1:], new)
    return copy


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_field_of_another_type_is_read_or_refused(data: st.DataObject) -> None:
    codec, valid = data.draw(st.sampled_from(_VALID))
    in_value = valid.value[:1] == b"{"
    fields = json.loads(valid.value if in_value else dict(valid.headers)[META_HEADER])
    changed = json.dumps(_with(fields, data.draw(st.sampled_from(_places(fields))), data.draw(_odd))).encode()
    if in_value:
        decoded(codec, valid._replace(value=changed))
    else:
        headers = tuple((n, changed if n == META_HEADER else content) for n, content in valid.headers)
        decoded(codec, valid._replace(headers=headers))


def _memory_mb() -> float:
    """The most that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most) / (1024 * 1024 if sys.platform == "darwin" else 1024)


_LARGE = {
    "nested lists": (b"", b"[", b""),
    "nested objects": (b"", b'{"a":', b""),
    "unknown fields": (b'{"camera_id":"cam1"', b',"x":{"y":[]}', b"}"),
    "a long number": (b'{"sequence":', b"9", b"}"),
    "a long text": (b'{"camera_id":"', b"\\n", b'"}'),
    "a long list": (b'{"tracks":[', b"{},", b"{}]}"),
    "points": (b'{"landmarks_xy":[', b"[1,2],", b"[1,2]]}"),
    "lists in a list": (b"[", b"[],", b"[]]"),
    "lists behind a space": (b' {"x":[', b"[],", b"[]]}"),
    "lists behind a line end": (b"\r\n[", b"[],", b"[]]"),
    "one text": (b'"', b"\\n", b'"'),
    "spaces": (b"", b" ", b""),
}
_JSON_CODECS: Mapping[str, AnyCodec[Any]] = {
    "result/2": RESULT_CODEC,
    "camera-settings/1": CAMERA_SETTINGS_CODEC,
    "checkpoint/1": CHECKPOINTS.codec,
}
"""The codecs with a JSON value, by schema."""


def _filled(start: bytes, piece: bytes, end: bytes, size_bytes: int) -> bytes:
    return start + piece * ((size_bytes - len(start) - len(end)) // len(piece)) + end


@pytest.mark.parametrize("size_bytes", [_MOST_JSON_BYTES, MAX_MESSAGE_BYTES], ids=["JSON", "message"])
@pytest.mark.parametrize("pieces", _LARGE.values(), ids=_LARGE.keys())
def test_a_large_invalid_message_is_refused_in_bounded_memory(
    pieces: tuple[bytes, bytes, bytes], size_bytes: int
) -> None:
    data = _filled(*pieces, size_bytes)
    expected = "bytes of JSON, expected" if size_bytes > _MOST_JSON_BYTES else None
    before_mb = _memory_mb()
    valid = FRAME_CODEC.encode(frame())
    with pytest.raises(BadMessage, match=expected):
        FRAME_CODEC.decode(valid._replace(headers=(valid.headers[0], (META_HEADER, data))))
    for schema, codec in _JSON_CODECS.items():
        headers = ((SCHEMA_HEADER, schema.encode()), (META_HEADER, b"{}"))
        with pytest.raises(BadMessage, match=expected):
            codec.decode(Encoded(b"", data, headers))
    assert _memory_mb() - before_mb < _MOST_MORE_MB


def test_many_bad_messages_leave_nothing_behind() -> None:
    codec, valid = _VALID[3]
    broken = [valid._replace(value=valid.value.replace(b'"width_px":', b'"w%d":' % n)) for n in range(200)]
    for one in broken:
        decoded(codec, one)
    before_mb = _memory_mb()
    for one in broken * 20:
        decoded(codec, one)
    assert _memory_mb() - before_mb < 10
