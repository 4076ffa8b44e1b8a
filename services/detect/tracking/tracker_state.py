"""What a tracker knows, as plain data that outlives its process."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from agegender.shared.messages.pipeline import BoxXyxy, Model, PointXy

_Time = Annotated[float, Field(allow_inf_nan=False)]


class TrackState(Model):
    """A `tracker.Track`, field by field."""

    model_config = ConfigDict(from_attributes=True)

    box_xyxy: BoxXyxy
    first_s: _Time
    last_s: _Time
    hits: Annotated[int, Field(ge=1)]
    number: Annotated[int, Field(ge=1)] | None
    misses: Annotated[int, Field(ge=0)]
    ended: bool
    velocity_xy: PointXy
    """Pixels a second."""


class TrackerState(Model):
    """All of a `tracker.Tracker` but its arguments. About 200 bytes of JSON a track."""

    tracks: tuple[TrackState, ...]
    """Confirmed ones and others, in the tracker's own order."""
    ended: tuple[TrackState, ...]
    """Those that nobody has taken yet."""
    confirmed: Annotated[int, Field(ge=0)]
    """Tracks confirmed so far: the highest number given."""
    last_s: _Time | None
    """Time of the last frame; None before the first."""
    gap_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Between the last two frames."""
