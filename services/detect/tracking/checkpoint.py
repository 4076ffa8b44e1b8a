"""What detect knows of a camera, as plain data that outlives its process. Pure.

It is a function of the camera's frames so far: whoever goes on from it with the frames that follow gives the
same persons the same names and the same faces the same votes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from agegender.shared.messages.pipeline import (
    BoxXyxy,
    Fraction,
    FrameInfo,
    Model,
    PointXy,
    TrackId,
    Unclassified,
)

_Time = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class TrackState(Model):
    """A `tracker.Track`, field by field."""

    model_config = ConfigDict(from_attributes=True)

    box_xyxy: BoxXyxy
    first_s: _Time
    last_s: _Time
    frames: Annotated[int, Field(ge=1)]
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


class ClockState(Model):
    """A `stream_clock.StreamClock`."""

    file_began_s: _Time | None = None
    offset_s: _Time = 0.0
    """What is added to the time that the frames tell."""
    latest_s: tuple[_Time, ...] = ()
    """Of the frames of the last seconds."""


class BallotState(Model):
    """A `selection.Ballot`, field by field."""

    model_config = ConfigDict(from_attributes=True)

    votes_sent: _Count
    quality: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    best: Fraction
    last_s: _Time


class ConfirmedTrackState(Model):
    """A `camera_tracks.Visitor`."""

    number: Annotated[int, Field(ge=1)]
    """Of its track in the tracker."""
    track_id: TrackId
    ballot: BallotState
    unclassified: Unclassified | None


class Checkpoint(Model):
    """A `camera_tracks.CameraTracks` between two frames, when others know who came and who went.

    About 1 kB of JSON at five frames a second, and 350 bytes more for each person.
    """

    newest: FrameInfo
    """The frame that was looked at last."""
    seen: tuple[tuple[str, _Count], ...]
    """Stream → number of its newest frame, for the last streams, the newest stream last."""
    first_sequence: _Count
    """The frame that the names of the stream's persons begin with."""
    told_s: _Time | None
    clock: ClockState
    tracker: TrackerState
    confirmed: tuple[ConfirmedTrackState, ...]

    @model_validator(mode="after")
    def _confirmed_have_tracks(self) -> Self:
        missing = {one.number for one in self.confirmed} - {track.number for track in self.tracker.tracks}
        if missing:
            raise ValueError(f"expected a track for each visitor, got none for {sorted(missing)}")
        return self

    @property
    def camera_id(self) -> str:
        """Whose state it is."""
        return self.newest.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the newest frame was taken."""
        return self.newest.captured_at_s

    def has_seen(self, info: FrameInfo) -> bool:
        """Whether that frame, or a later one of its stream, is a part of what is known."""
        return info.sequence <= dict(self.seen).get(info.stream_id, -1)


def newest_checkpoints(states: Iterable[Checkpoint]) -> Sequence[Checkpoint]:
    """The most advanced state of each camera, out of states in the order in which they were written.

    That is not always the last one: a worker that was taken for dead may write once more what it had in hand,
    when the next one is further on already.
    """
    newest: dict[str, Checkpoint] = {}
    for state in states:
        known = newest.get(state.camera_id)
        if known is None or not known.has_seen(state.newest):
            newest[state.camera_id] = state
    return tuple(newest.values())
