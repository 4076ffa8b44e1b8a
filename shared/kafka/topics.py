"""The topics: what each carries between the services, for how long, and which cameras there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agegender.shared.cameras.record import CAMERA_SETTINGS_CODEC, CameraSettings
from agegender.shared.messages.codec import (
    FACES_CODEC,
    FRAME_CODEC,
    PREVIEW_CODEC,
    RESULTS_CODEC,
    STORED_CODEC,
    AnyCodec,
)
from agegender.shared.messages.pipeline import Face, Frame, Model, Preview, Result, Stored, TrackUpdate

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Topic(Generic[M]):
    """One topic. `retention_s`: how long Kafka keeps its messages."""

    name: str
    codec: AnyCodec[M]
    retention_s: int


@dataclass(frozen=True)
class Table(Generic[M]):
    """A compacted topic: the newest message of each key counts, for ever, and an empty one takes it away."""

    name: str
    codec: AnyCodec[M]


@dataclass(frozen=True)
class Changelog(Generic[M]):
    """A compacted topic that changes all the time. `kept_s`: an older message is forgotten."""

    name: str
    codec: AnyCodec[M]
    kept_s: int


CAMERAS: Table[CameraSettings] = Table("cameras", CAMERA_SETTINGS_CODEC)

FRAMES: Topic[Frame] = Topic("frames", FRAME_CODEC, retention_s=10 * 60)
FACES: Topic[Face | TrackUpdate] = Topic("faces", FACES_CODEC, retention_s=10 * 60)
RESULTS: Topic[Result | TrackUpdate] = Topic("results", RESULTS_CODEC, retention_s=24 * 3600)
PREVIEWS: Topic[Preview] = Topic("previews", PREVIEW_CODEC, retention_s=2 * 60)

STORED: Sequence[Topic[Stored]] = tuple(
    Topic(one.name, STORED_CODEC, one.retention_s) for one in (RESULTS, PREVIEWS)
)
"""What the sink reads. Pictures have a topic of their own, which forgets them soon."""

READERS: Mapping[str, str] = {FRAMES.name: "detect", FACES.name: "classify", RESULTS.name: "sink"}
"""Topic → the group that works it off."""

DEAD_LETTERS_NAME = "dead-letters"
DEAD_LETTERS_RETENTION_S = 7 * 24 * 3600
