"""The settings of the sink."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from shared.settings import Settings


class SinkSettings(Settings):
    """What is kept in Redis and for how long."""

    prefix: ClassVar[str] = "SINK_"

    ttl_s: Annotated[int, Field(ge=1)] = 24 * 3600
    """Everything of a camera disappears this long after its last result."""
    results_per_camera: Annotated[int, Field(ge=1)] = 2_000
    """Length of the stream of results of a camera, about 1 kB each."""
    remembered_faces: Annotated[int, Field(ge=1_000)] = 10_000
    """How many of a camera's last faces are known again when a result is repeated, about 0.1 kB each."""
    batch_messages: Annotated[int, Field(ge=1)] = 500
    """Most results written together."""
