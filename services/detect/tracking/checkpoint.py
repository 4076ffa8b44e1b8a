"""A checkpoint: what detect knows of a camera's tracks, as data that outlives the process. Pure.

It depends only on the camera's frames so far. A worker that goes on from it with the following frames gives
the same tracks the same ids, and the same faces the same votes.
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
    misses: _Count
    ended: bool
    velocity_xy: PointXy
    """Pixels a second."""


class TrackerState(Model):
    """A `tracker.Tracker` without its arguments. About 200 bytes of JSON for each track."""

    tracks: tuple[TrackState, ...]
    """Confirmed and unconfirmed ones, in the tracker's order."""
    ended: tuple[TrackState, ...]
    """Those that `Tracker.take_ended` has not returned yet."""
    confirmed: _Count
    """The number of tracks confirmed so far, which is the highest track number."""
    last_s: _Time | None
    """Time of the last frame; None before the first one."""
    gap_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Time between the last two frames."""


class ClockState(Model):
    """A `stream_clock.StreamClock`."""

    file_began_s: _Time | None = None
    offset_s: _Time = 0.0
    """Added to the capture times of the frames."""
    latest: tuple[tuple[_Time, _Count], ...] = ()
    """Times and sequences of the frames of the last seconds."""


class BallotState(Model):
    """A `best_shot.Ballot`, field by field."""

    model_config = ConfigDict(from_attributes=True)

    votes_sent: _Count
    quality: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    best: Fraction
    last_s: _Time


class ConfirmedTrackState(Model):
    """A `camera_tracks.ConfirmedTrack` without its track."""

    number: Annotated[int, Field(ge=1)]
    """Of its track in the tracker."""
    track_id: TrackId
    ballot: BallotState
    unclassified: Unclassified | None


class Checkpoint(Model):
    """A `camera_tracks.CameraTracks` between two frames, after the due track update was taken.

    About 1 kB of JSON at five frames a second, and 350 bytes for each person.
    """

    newest: FrameInfo
    """The last processed frame."""
    seen: tuple[tuple[str, _Count], ...]
    """The last streams, each with the sequence of its newest frame; the newest stream comes last."""
    first_sequence: _Count
    """The sequence in the track ids of this stream."""
    updated_s: _Time | None
    """Time of the last track update sent by the clock; None before the first one."""
    clock: ClockState
    tracker: TrackerState
    confirmed: tuple[ConfirmedTrackState, ...]

    @model_validator(mode="after")
    def _confirmed_have_tracks(self) -> Self:
        missing = {one.number for one in self.confirmed} - {track.number for track in self.tracker.tracks}
        if missing:
            raise ValueError(f"expected a track for each confirmed track, got none for {sorted(missing)}")
        return self

    @property
    def camera_id(self) -> str:
        """The camera of these tracks."""
        return self.newest.camera_id

    @property
    def captured_at_s(self) -> float:
        """The capture time of the newest frame."""
        return self.newest.captured_at_s

    def has_seen(self, info: FrameInfo) -> bool:
        """Whether the checkpoint contains that frame, or a later one of its stream."""
        return info.sequence <= dict(self.seen).get(info.stream_id, -1)


def newest_checkpoints(checkpoints: Iterable[Checkpoint]) -> Sequence[Checkpoint]:
    """The most advanced checkpoint of each camera, given checkpoints in the order they were written.

    This is not always the last one. A worker that was taken for dead may write once more when the next worker
    has already processed later frames.
    """
    newest: dict[str, Checkpoint] = {}
    for checkpoint in checkpoints:
        known = newest.get(checkpoint.camera_id)
        if known is None or not known.has_seen(checkpoint.newest):
            newest[checkpoint.camera_id] = checkpoint
    return tuple(newest.values())
