"""Messages to bytes and back.

The value of an encoded message is the JPEG itself or JSON. Two headers hold the rest: `schema`, the name and
version of the layout, and `meta`, compact JSON. So a picture is never wrapped in text, and any Kafka tool
shows what a message is about.

A layout may gain optional fields within a version, because readers ignore fields that they do not know. Any
other change is a new version. Its codec can go on reading earlier versions (`older`), so that messages in a
topic survive an upgrade. A process that meets a version it cannot read raises SchemaMismatch and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from agegender.shared.errors import BadMessage, SchemaMismatch
from agegender.shared.messages.pipeline import (
    CameraNotice,
    Face,
    FaceInfo,
    Frame,
    FrameInfo,
    Model,
    Preview,
    Result,
    Stored,
    TrackUpdate,
    TrackUpdateInfo,
)

MAX_MESSAGE_BYTES = 2_000_000
"""Largest encoded message, headers included. Producers, consumers and topics are all set by it."""

_MOST_JSON_BYTES = 288 * 1024
"""Parsing JSON may take 350 times its size in memory. `MOST_TRACKS` of detect keeps ours shorter."""

SCHEMA_HEADER = "schema"
META_HEADER = "meta"

M = TypeVar("M", bound=Model)


class Encoded(NamedTuple):
    """A message as Kafka stores it: key, value and headers."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers together."""
        return len(self.key) + len(self.value) + sum(len(name) + len(data) for name, data in self.headers)


def check_size(encoded: Encoded, topic: str) -> None:
    """Raises BadMessage when `encoded` is larger than any message may be."""
    if encoded.size_bytes > MAX_MESSAGE_BYTES:
        raise BadMessage(
            f"a message of {encoded.size_bytes} bytes for {topic!r} is over the limit of {MAX_MESSAGE_BYTES}"
        )


class AnyCodec(Protocol[M]):
    """Converts the messages of a topic to bytes and back."""

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold.

        Raises:
            BadMessage: the bytes are not a valid message; the text says why.
            SchemaMismatch: the layout is of another version.
        """


@dataclass(frozen=True)
class Codec(Generic[M]):
    """The layout of one type of message.

    Args:
        schema: name and version of the layout: `frame/1`.
        key: decides the partition; messages with the same key stay in order.
        split: gives the JSON for the header `meta`, and the value.
        join: the inverse of `split`; may raise pydantic's ValidationError.
        value_is_json: the value is JSON too, so the limit for JSON holds for it.
        older: schemas of earlier versions that can still be read, with the `join` of each.
        superseded: names of layouts that this one has replaced and that cannot be read any more.
    """

    schema: str
    key: Callable[[M], str]
    split: Callable[[M], tuple[str, bytes]]
    join: Callable[[bytes, bytes], M]
    value_is_json: bool
    older: Mapping[str, Callable[[bytes, bytes], M]] = field(default_factory=dict)
    superseded: tuple[str, ...] = ()

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""
        meta, value = self.split(message)
        headers = ((SCHEMA_HEADER, self.schema.encode()), (META_HEADER, meta.encode()))
        return Encoded(self.key(message).encode(), value, headers)

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold.

        Raises:
            BadMessage: the bytes are not a valid message; the text says why.
            SchemaMismatch: the layout is of another version.
        """
        schema = schema_of(encoded)
        join = self.join if schema == self.schema else self.older.get(schema)
        if join is None:
            raise _refusal(schema, [self])
        meta = dict(encoded.headers).get(META_HEADER, b"")
        for json in (meta, encoded.value) if self.value_is_json else (meta,):
            if len(json) > _MOST_JSON_BYTES:
                raise BadMessage(f"{schema}: {len(json)} bytes of JSON, expected {_MOST_JSON_BYTES} at most")
        try:
            return join(meta, encoded.value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field_path = ".".join(str(part) for part in first["loc"]) or "message"
            raise BadMessage(f"{schema}: {field_path}: {first['msg']}") from None


def schema_of(encoded: Encoded) -> str:
    """Name and version of the layout; raises BadMessage when the header is missing."""
    schema = dict(encoded.headers).get(SCHEMA_HEADER)
    if schema is None:
        raise BadMessage(f"no {SCHEMA_HEADER!r} header: not a message of this system")
    return schema.decode(errors="replace")


def _refusal(schema: str, codecs: Sequence[Codec[Any]]) -> BadMessage | SchemaMismatch:
    """The error for a message with a schema that none of these codecs reads."""
    schema = schema[:40]
    name, _, version = schema.rpartition("/")
    number = int(version) if version.isascii() and version.isdigit() else 0
    for codec in codecs:
        known_name, _, known_version = codec.schema.rpartition("/")
        if name == known_name and number > int(known_version):
            return SchemaMismatch(
                f"a message has schema {schema!r}, and this worker reads up to {codec.schema!r}: upgrade it"
            )
        if (name == known_name and number > 0) or name in codec.superseded:
            return SchemaMismatch(
                f"a message has the old schema {schema!r}, and this version reads only {codec.schema!r}: "
                "stop the services, delete the topics frames, faces, results, previews and checkpoints, and "
                "start again"
            )
    return BadMessage(f"schema is {schema!r}, expected {' or '.join(repr(one.schema) for one in codecs)}")


class MixedCodec(Generic[M]):
    """Several types of messages in one topic, distinguished by their schema."""

    def __init__(self, codecs: Mapping[type[M], Codec[Any]]) -> None:
        self._by_type = dict(codecs)
        self._by_schema = {
            schema: codec for codec in codecs.values() for schema in (codec.schema, *codec.older)
        }

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""
        return self._by_type[type(message)].encode(message)

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold; raises BadMessage and SchemaMismatch."""
        schema = schema_of(encoded)
        codec = self._by_schema.get(schema)
        if codec is None:
            raise _refusal(schema, list(self._by_type.values()))
        message: M = codec.decode(encoded)
        return message


FRAME_CODEC: Codec[Frame] = Codec(
    schema="frame/1",
    key=lambda frame: frame.camera_id,
    split=lambda frame: (frame.info.model_dump_json(exclude_none=True), frame.jpeg),
    join=lambda meta, value: Frame(info=FrameInfo.model_validate_json(meta), jpeg=value),
    value_is_json=False,
)

FACE_CODEC: Codec[Face] = Codec(
    schema="face/1",
    key=lambda face: f"{face.camera_id}/{face.info.track_id or face.info.index}",
    split=lambda face: (face.info.model_dump_json(exclude_none=True), face.chip_jpeg),
    join=lambda meta, value: Face(info=FaceInfo.model_validate_json(meta), chip_jpeg=value),
    value_is_json=False,
)

RESULT_CODEC: Codec[Result] = Codec(
    schema="result/2",
    key=lambda result: result.camera_id,
    split=lambda result: ("{}", result.model_dump_json(exclude_none=True).encode()),
    join=lambda _meta, value: Result.model_validate_json(value),
    value_is_json=True,
)

TRACK_UPDATE_CODEC: Codec[TrackUpdate] = Codec(
    schema="track-update/2",
    superseded=("presence",),
    key=lambda track_update: track_update.camera_id,
    split=lambda track_update: (track_update.info.model_dump_json(exclude_none=True), b""),
    join=lambda meta, _value: TrackUpdate(info=TrackUpdateInfo.model_validate_json(meta)),
    value_is_json=False,
)

PREVIEW_CODEC: Codec[Preview] = Codec(
    schema="preview/1",
    key=lambda preview: preview.camera_id,
    split=lambda preview: (preview.info.model_dump_json(exclude_none=True), preview.jpeg),
    join=lambda meta, value: Preview(info=FrameInfo.model_validate_json(meta), jpeg=value),
    value_is_json=False,
)

CAMERA_NOTICE_CODEC: Codec[CameraNotice] = Codec(
    schema="camera-notice/1",
    key=lambda notice: notice.camera_id,
    split=lambda notice: ("{}", notice.model_dump_json(exclude_none=True).encode()),
    join=lambda _meta, value: CameraNotice.model_validate_json(value),
    value_is_json=True,
)

FACES_CODEC: AnyCodec[Face | TrackUpdate] = MixedCodec({Face: FACE_CODEC, TrackUpdate: TRACK_UPDATE_CODEC})
RESULTS_CODEC: AnyCodec[Result | TrackUpdate] = MixedCodec(
    {Result: RESULT_CODEC, TrackUpdate: TRACK_UPDATE_CODEC}
)
STORED_CODEC: AnyCodec[Stored] = MixedCodec(
    {
        Result: RESULT_CODEC,
        TrackUpdate: TRACK_UPDATE_CODEC,
        Preview: PREVIEW_CODEC,
        CameraNotice: CAMERA_NOTICE_CODEC,
    }
)
