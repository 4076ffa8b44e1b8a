"""Messages to bytes and back.

The value of an encoded message is the picture itself (JPEG) or JSON; the rest travels in two headers:
`schema`, the name and version of the layout, and `meta`, compact JSON. So the picture is never wrapped in
text, and any Kafka tool shows what a message is about.

A layout may gain optional fields within a version: readers ignore what they do not know. Any other change is
a new version. Its codec goes on reading the versions before (`older`), so that what lies in a topic while
the services are upgraded is read; a process that knows only the versions before waits to be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from agegender.shared.errors import BadMessage, NewerSchema
from agegender.shared.messages.pipeline import (
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

_MOST_JSON_BYTES = 256 * 1024
"""Reading JSON may take 350 times its size of memory. Ours is shorter: detect's `MOST_TRACKS` sees to it."""

SCHEMA_HEADER = "schema"
META_HEADER = "meta"

M = TypeVar("M", bound=Model)


class Encoded(NamedTuple):
    """A message as it travels: Kafka's key, value and headers."""

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
    """Turns the messages of a topic into bytes and back."""

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold.

        Raises:
            BadMessage: they are none; the text says in what way.
            NewerSchema: they are one of a later version.
        """


@dataclass(frozen=True)
class Codec(Generic[M]):
    """How one kind of message is laid out.

    `key` decides the partition: messages of one key stay in order. `split` gives the JSON for the `meta`
    header and the value; `join` puts them back together and may raise pydantic's ValidationError.
    `value_is_json`: the value too is read as JSON, and so no longer than JSON may be. `older` has the schemas
    of the versions before, and the `join` of each.
    """

    schema: str
    key: Callable[[M], str]
    split: Callable[[M], tuple[str, bytes]]
    join: Callable[[bytes, bytes], M]
    value_is_json: bool
    older: Mapping[str, Callable[[bytes, bytes], M]] = field(default_factory=dict)

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""
        meta, value = self.split(message)
        headers = ((SCHEMA_HEADER, self.schema.encode()), (META_HEADER, meta.encode()))
        return Encoded(self.key(message).encode(), value, headers)

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold.

        Raises:
            BadMessage: the bytes are no message of this schema; the text says in what way.
            NewerSchema: they are one of a later version of it.
        """
        schema = schema_of(encoded)
        join = self.join if schema == self.schema else self.older.get(schema)
        if join is None:
            raise _refusal(schema, [self.schema])
        meta = dict(encoded.headers).get(META_HEADER, b"")
        for json in (meta, encoded.value) if self.value_is_json else (meta,):
            if len(json) > _MOST_JSON_BYTES:
                raise BadMessage(f"{schema}: {len(json)} bytes of JSON, expected {_MOST_JSON_BYTES} at most")
        try:
            return join(meta, encoded.value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "message"
            raise BadMessage(f"{schema}: {place}: {first['msg']}") from None


def schema_of(encoded: Encoded) -> str:
    """The name and version of the layout; raises BadMessage where the bytes have none."""
    schema = dict(encoded.headers).get(SCHEMA_HEADER)
    if schema is None:
        raise BadMessage(f"no {SCHEMA_HEADER!r} header: not a message of this system")
    return schema.decode(errors="replace")


def _refusal(schema: str, known: Sequence[str]) -> BadMessage | NewerSchema:
    """What to raise for a message of a schema that is not among those known."""
    name, _, version = schema[:40].rpartition("/")
    for one in known:
        known_name, _, known_version = one.rpartition("/")
        if (
            name == known_name
            and version.isascii()
            and version.isdigit()
            and int(version) > int(known_version)
        ):
            return NewerSchema(
                f"a message has schema {schema[:40]!r}, and this worker reads up to {one!r}: upgrade it"
            )
    return BadMessage(f"schema is {schema[:40]!r}, expected {' or '.join(map(repr, known))}")


class MixedCodec(Generic[M]):
    """Several kinds of messages in one topic, told apart by their schema."""

    def __init__(self, codecs: Mapping[type[M], Codec[Any]]) -> None:
        self._by_type = dict(codecs)
        self._newest = [codec.schema for codec in codecs.values()]
        self._by_schema = {
            schema: codec for codec in codecs.values() for schema in (codec.schema, *codec.older)
        }

    def encode(self, message: M) -> Encoded:
        """The message as bytes."""
        return self._by_type[type(message)].encode(message)

    def decode(self, encoded: Encoded) -> M:
        """The message that these bytes hold; raises BadMessage and NewerSchema."""
        schema = schema_of(encoded)
        codec = self._by_schema.get(schema)
        if codec is None:
            raise _refusal(schema, self._newest)
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
    schema="result/1",
    key=lambda result: result.camera_id,
    split=lambda result: ("{}", result.model_dump_json(exclude_none=True).encode()),
    join=lambda _meta, value: Result.model_validate_json(value),
    value_is_json=True,
)

TRACK_UPDATE_CODEC: Codec[TrackUpdate] = Codec(
    schema="track-update/1",
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

FACES_CODEC: AnyCodec[Face | TrackUpdate] = MixedCodec({Face: FACE_CODEC, TrackUpdate: TRACK_UPDATE_CODEC})
RESULTS_CODEC: AnyCodec[Result | TrackUpdate] = MixedCodec(
    {Result: RESULT_CODEC, TrackUpdate: TRACK_UPDATE_CODEC}
)
STORED_CODEC: AnyCodec[Stored] = MixedCodec(
    {Result: RESULT_CODEC, TrackUpdate: TRACK_UPDATE_CODEC, Preview: PREVIEW_CODEC}
)
