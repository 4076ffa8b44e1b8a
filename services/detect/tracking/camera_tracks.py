"""The confirmed tracks of a camera, with their ids, votes and updates. Pure: boxes in, track updates out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from agegender.services.detect.motion import Searched
from agegender.services.detect.tracking.best_shot import Ballot
from agegender.services.detect.tracking.checkpoint import (
    BallotState,
    Checkpoint,
    ConfirmedTrackState,
    TrackerState,
)
from agegender.services.detect.tracking.stream_clock import StreamClock
from agegender.services.detect.tracking.tracker import Track, Tracker
from agegender.shared.images.pose import facing
from agegender.shared.images.quality import UNUSABLE, why_unclassified
from agegender.shared.messages.pipeline import (
    BoxXyxy,
    FaceInfo,
    FrameInfo,
    TrackSummary,
    TrackUpdateInfo,
    Unclassified,
)
from agegender.shared.runtime.stage import SkipReason

TRACK_UPDATE_EVERY_S = 1.0
FORGET_AFTER_S = 600.0

_STREAMS_KNOWN = 8
"""Repeated frames belong to one of the last streams, or to a stream with fewer frames than a batch."""


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """When a track is confirmed, and when it ends."""

    confirm_frames: int = 3
    """A track is confirmed once its face was found in this many frames."""
    lost_s: float = 2.0
    """A confirmed track ends when its face is lost for longer."""

    def tracker(self) -> Tracker:
        """A new tracker."""
        return Tracker(confirm_frames=self.confirm_frames, lost_s=self.lost_s)

    def tracker_from(self, state: TrackerState) -> Tracker:
        """A tracker that goes on from `state`."""
        return Tracker.restored(state, confirm_frames=self.confirm_frames, lost_s=self.lost_s)


DEFAULT_LIMITS = TrackLimits()


@dataclass(eq=False)
class ConfirmedTrack:
    """A confirmed track with its id and its votes."""

    track: Track
    track_id: str
    ballot: Ballot = field(default_factory=Ballot)
    unclassified: Unclassified | None = None
    """Why no face was good enough so far. `too-blurred` replaces `too-small`, and never the reverse."""

    @classmethod
    def restored(cls, state: ConfirmedTrackState, track: Track) -> Self:
        """The track with the id and votes of `state`."""
        return cls(track, state.track_id, Ballot(**state.ballot.model_dump()), state.unclassified)

    def state(self) -> ConfirmedTrackState:
        """The id and votes; the track itself is part of `TrackerState`."""
        if self.track.number is None:
            raise RuntimeError("expected a confirmed track, got one without a number")
        return ConfirmedTrackState(
            number=self.track.number,
            track_id=self.track_id,
            ballot=BallotState.model_validate(self.ballot),
            unclassified=self.unclassified,
        )

    def consider(self, face: FaceInfo, time_s: float) -> SkipReason | None:
        """Counts the face as a vote, or returns why it is skipped."""
        why = why_unclassified(face)
        quality = UNUSABLE if face.quality is None else face.quality * facing(face.landmarks_xy)
        if why is not None:
            if self.ballot.votes_sent == 0 and self.unclassified != "too-blurred":
                self.unclassified = why
            return SkipReason.LOW_QUALITY
        if not self.ballot.wants(quality, time_s):
            return SkipReason.ENOUGH
        self.ballot.add(quality, time_s)
        self.unclassified = None
        return None


class CameraTracks:
    """Tracks the faces of one camera over all its streams, one stream after the other.

    A track id consists of the stream, the sequence of the first processed frame, and a number. So the same
    frames give the same ids, and a worker that takes over in the middle of a stream never repeats an id.

    Args:
        limits: of the tracks.
    """

    def __init__(self, limits: TrackLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._tracker = limits.tracker()
        self._clock = StreamClock()
        self._stream_id: str | None = None
        self._first_sequence = 0
        self._newest: FrameInfo | None = None
        self._seen: dict[str, int] = {}
        self._confirmed: dict[int, ConfirmedTrack] = {}
        self._ended: list[ConfirmedTrack] = []
        self._has_new_tracks = False
        self._updated_s: float | None = None
        self._is_restored = False
        self._starts_new_ids = False
        self.searched: Searched | None = None
        """What the next frames are compared with. Set it after each `update` with a searched frame."""

    @classmethod
    def restored(cls, checkpoint: Checkpoint, limits: TrackLimits = DEFAULT_LIMITS) -> Self:
        """The tracks of the checkpoint. With the same limits and frames they go on exactly as before."""
        camera = cls(limits)
        camera._tracker = limits.tracker_from(checkpoint.tracker)
        camera._clock = StreamClock(checkpoint.clock, checkpoint.newest)
        camera._stream_id = checkpoint.newest.stream_id
        camera._first_sequence = checkpoint.first_sequence
        camera._newest, camera._seen = checkpoint.newest, dict(checkpoint.seen)
        camera._updated_s = checkpoint.updated_s
        tracks = {track.number: track for track in camera._tracker.tracks}
        camera._is_restored = True
        camera._confirmed = {
            one.number: ConfirmedTrack.restored(one, tracks[one.number]) for one in checkpoint.confirmed
        }
        return camera

    def checkpoint(self) -> Checkpoint:
        """The state after a frame, for `restored`.

        Raises:
            RuntimeError: no frame was processed yet, or a due track update was not taken.
        """
        if self._newest is None or self._has_new_tracks or self._ended:
            raise RuntimeError("expected a processed frame and no due track update")
        return Checkpoint(
            newest=self._newest,
            seen=tuple(self._seen.items()),
            first_sequence=self._first_sequence,
            updated_s=self._updated_s,
            clock=self._clock.state(),
            tracker=self._tracker.state(),
            confirmed=tuple(track.state() for track in self._confirmed.values()),
        )

    def has_seen(self, info: FrameInfo) -> bool:
        """Whether `update` has had this frame, or a later one of its stream."""
        return info.sequence <= self._seen.get(info.stream_id, -1)

    def is_late(self, info: FrameInfo) -> bool:
        """Whether a live camera's frame belongs to an earlier stream than the newest one.

        An ingest worker that froze may publish such frames after another worker took its cameras over.
        Tracking them would end every visit twice, and count every person once more.
        """
        return not info.is_complete and info.stream_id != self._stream_id and info.stream_id in self._seen

    def note_dropped(self) -> None:
        """A frame was dropped as stale and will not be tracked.

        If the tracks were just restored, the worker before may have given ids in that frame that no
        checkpoint contains. So the next frame starts a new series of ids.
        """
        self._starts_new_ids = self._is_restored

    def update(self, info: FrameInfo, boxes_xyxy: Sequence[BoxXyxy]) -> list[ConfirmedTrack | None]:
        """The confirmed track of each box, in the order of the boxes; None where there is none yet.

        Must be called for each processed frame of the camera, also for those without faces.
        """
        if info.stream_id != self._stream_id:
            self._start(info)
        elif self._starts_new_ids:
            self._first_sequence = info.sequence
        self._is_restored = self._starts_new_ids = False
        self._follow_size(info)
        self._newest = info
        self._note_seen(info)
        time_s = self._clock.advance(info, has_tracks=not self._tracker.is_empty)
        tracks = self._tracker.update(boxes_xyxy, time_s)
        confirmed = [self._confirmed_track(track) for track in tracks]
        self._collect_ended()
        return confirmed

    @property
    def time_s(self) -> float:
        """The time of the newest frame, on the clock of the tracks."""
        return self._clock.now_s

    @property
    def present(self) -> list[ConfirmedTrack]:
        """The confirmed tracks that have not ended, also those without a face in the newest frame."""
        return list(self._confirmed.values())

    @property
    def is_settled(self) -> bool:
        """Whether a frame like the newest one would tell nothing new.

        Each track is confirmed, has its face in the newest frame, and has enough votes.
        """
        return self._tracker.is_followed and all(one.ballot.is_settled for one in self._confirmed.values())

    @property
    def is_second_over(self) -> bool:
        """Whether a second has passed since the last track update."""
        return self._updated_s is None or not 0 <= self.time_s - self._updated_s < TRACK_UPDATE_EVERY_S

    @property
    def is_update_due(self) -> bool:
        """Whether to send a track update: about once a second, and when a track was confirmed or ended."""
        return self.is_second_over or self._has_new_tracks or bool(self._ended)

    def take_update(self, info: FrameInfo, detected_at_s: float) -> TrackUpdateInfo:
        """The present tracks, and those that ended since the last call."""
        tracks = tuple(_summary(track) for track in (*self._ended, *self._confirmed.values()))
        if self.is_second_over:
            self._updated_s = self.time_s
        self._ended, self._has_new_tracks = [], False
        return TrackUpdateInfo(
            frame=info,
            frame_rate_hz=self._clock.rate_hz,
            captured_rate_hz=self._clock.captured_rate_hz,
            tracks=tracks,
            detected_at_s=detected_at_s,
        )

    def finish(self, detected_at_s: float) -> TrackUpdateInfo | None:
        """The last track update, with all tracks ended. None when no frame was processed."""
        if self._newest is None:
            return None
        self._tracker.end()
        self._collect_ended()
        return self.take_update(self._newest, detected_at_s)

    def _follow_size(self, info: FrameInfo) -> None:
        """A camera may change its size in the middle of a stream. It still shows the same scene."""
        before = self._newest
        if before is not None and (info.width_px, info.height_px) != (before.width_px, before.height_px):
            self._tracker.scale(info.width_px / before.width_px, info.height_px / before.height_px)

    def _start(self, info: FrameInfo) -> None:
        self._tracker.end()
        self._collect_ended()
        self._tracker, self._clock = self._limits.tracker(), StreamClock()
        self._stream_id, self._first_sequence, self._updated_s = info.stream_id, info.sequence, None

    def _note_seen(self, info: FrameInfo) -> None:
        self._seen.pop(info.stream_id, None)
        self._seen[info.stream_id] = info.sequence
        if len(self._seen) > _STREAMS_KNOWN:
            del self._seen[next(iter(self._seen))]

    def _collect_ended(self) -> None:
        self._ended += [
            self._confirmed.pop(track.number) for track in self._tracker.take_ended() if track.number
        ]

    def _confirmed_track(self, track: Track) -> ConfirmedTrack | None:
        if track.number is None:
            return None
        if track.number not in self._confirmed:
            track_id = f"{self._stream_id}-{self._first_sequence}-{track.number}"
            self._confirmed[track.number] = ConfirmedTrack(track, track_id)
            self._has_new_tracks = True
        return self._confirmed[track.number]


class TracksByCamera:
    """The tracks of each camera with frames in the last ten minutes.

    Forgetting a camera sends no track update. The sink closes its visits after the silence timeout.
    """

    def __init__(self, limits: TrackLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._by_id: dict[str, tuple[float, CameraTracks]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def finish(self, detected_at_s: float) -> list[TrackUpdateInfo]:
        """The last track update of each camera. All cameras are forgotten."""
        last = [tracks.finish(detected_at_s) for _, tracks in self._by_id.values()]
        self._by_id.clear()
        return [one for one in last if one is not None]

    def checkpoints(self, camera_ids: Iterable[str]) -> list[Checkpoint]:
        """The checkpoints of these cameras, without those that are forgotten."""
        known = [self._by_id[one][1] for one in camera_ids if one in self._by_id]
        return [tracks.checkpoint() for tracks in known]

    def restore(self, checkpoints: Iterable[Checkpoint], now_s: float) -> None:
        """Forgets all cameras, and goes on from these checkpoints as if they had had frames at `now_s`."""
        self._by_id = {
            one.camera_id: (now_s, CameraTracks.restored(one, self._limits)) for one in checkpoints
        }

    def of(self, camera_id: str, now_s: float) -> CameraTracks:
        """The tracks of a camera that has a frame at `now_s`, in seconds of this process's clock."""
        _, tracks = self._by_id.pop(camera_id, (now_s, None))
        tracks = tracks or CameraTracks(self._limits)
        # The dictionary is ordered by the last frame, so the cameras to forget come first.
        self._by_id[camera_id] = (now_s, tracks)
        while now_s - next(iter(self._by_id.values()))[0] > FORGET_AFTER_S:
            del self._by_id[next(iter(self._by_id))]
        return tracks


def _summary(confirmed: ConfirmedTrack) -> TrackSummary:
    track = confirmed.track
    return TrackSummary(
        track_id=confirmed.track_id,
        first_seen_s=track.first_s,
        last_seen_s=track.last_s,
        frames=track.frames,
        votes_sent=confirmed.ballot.votes_sent,
        unclassified=confirmed.unclassified,
        box_xyxy=track.box_xyxy,
        ended=track.ended,
    )
