"""The settings of the sink."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from agegender.shared.process.settings import Settings


class SinkSettings(Settings):
    """What is kept in Redis and for how long."""

    prefix: ClassVar[str] = "SINK_"

    ttl_s: Annotated[int, Field(ge=1)] = 24 * 3600
    """A person disappears this long after the last news, and all of a camera but its counts likewise."""
    silent_s: Annotated[int, Field(ge=10)] = 120
    """A person who is not heard of for so long is closed as `silent`."""
    visits_per_camera: Annotated[int, Field(ge=100)] = 10_000
    """How many closed persons of a camera are kept, about 0.5 kB each."""
    open_per_camera: Annotated[int, Field(ge=10)] = 1_000
    """Above so many open persons of a camera those not heard of for longest are closed as `silent`."""
    closed_per_camera: Annotated[int, Field(ge=100)] = 1_000
    """Length of the stream of closed persons of a camera, about 0.4 kB each."""
    results_per_camera: Annotated[int, Field(ge=1)] = 200
    """Length of the stream of single faces of a camera, about 1 kB each."""
    remembered_faces: Annotated[int, Field(ge=1_000)] = 10_000
    """How many of a camera's last faces are known again when a result is repeated, about 0.1 kB each."""
    batch_messages: Annotated[int, Field(ge=1)] = 500
    """Most messages written together."""
