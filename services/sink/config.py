"""The settings of the sink."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from agegender.shared.process.settings import Settings


class SinkSettings(Settings):
    """What the sink keeps in Redis, and for how long."""

    prefix: ClassVar[str] = "SINK_"

    ttl_s: Annotated[int, Field(ge=1)] = 24 * 3600
    """A visit expires this long after its last message; so does a camera, except for its counts."""
    silence_timeout_s: Annotated[int, Field(ge=10)] = 120
    """A visit that gets no track update for this long is closed as `timed-out`."""
    visits_per_camera: Annotated[int, Field(ge=100)] = 10_000
    """Most closed visits kept for a camera, about 0.5 kB each."""
    open_per_camera: Annotated[int, Field(ge=10)] = 1_000
    """Most open visits of a camera. Above it, those silent for longest are closed as `timed-out`."""
    closed_per_camera: Annotated[int, Field(ge=100)] = 1_000
    """Length of the stream of closed visits of a camera, about 0.4 kB each."""
    results_per_camera: Annotated[int, Field(ge=1)] = 200
    """Length of the stream of results of a camera, about 1 kB each."""
    remembered_faces: Annotated[int, Field(ge=1_000)] = 10_000
    """How many of a camera's latest faces the store remembers, to detect repeated results. 0.1 kB each."""
    batch_messages: Annotated[int, Field(ge=1)] = 500
    """Most messages written together."""
