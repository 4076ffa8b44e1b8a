"""The topics between the services: what each carries and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.codec import FACE_CODEC, FRAME_CODEC, RESULT_CODEC, Codec
from shared.messages import Face, Frame, Model, Result

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Topic(Generic[M]):
    """One topic. `retention_s`: how long Kafka keeps its messages."""

    name: str
    codec: Codec[M]
    retention_s: int


FRAMES: Topic[Frame] = Topic("frames", FRAME_CODEC, retention_s=10 * 60)
FACES: Topic[Face] = Topic("faces", FACE_CODEC, retention_s=10 * 60)
RESULTS: Topic[Result] = Topic("results", RESULT_CODEC, retention_s=24 * 3600)

DEAD_LETTERS_NAME = "dead-letters"
DEAD_LETTERS_RETENTION_S = 7 * 24 * 3600
