"""Who is before one camera: its tracks as others are told of them. Pure: boxes in, track updates out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from agegender.services.detect.faces.quality import facing
from agegender.services.detect.tracking.best_shot import Ballot
from agegender.services.detect.tracking.checkpoint import (
    BallotState,
    Checkpoint,
    ConfirmedTrackState,
    TrackerState,
)
from agegender.services.detect.tracking.stream_clock import StreamClock
from agegender.services.detect.tracking.tracker import Track, Tracker
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
"""Frames that come a second time are of the last streams, or of one with as many frames as a batch has."""


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """When a track is a person, and for how long that person is waited for."""

    confirm_frames: int = 3
    """Faces that make a track a person."""
    lost_s: float = 2.0
    """For how long a person whose face is lost is taken up again at its place."""

    def tracker(self) -> Tracker:
        """A tracker that has seen nothing yet."""
        return Tracker(confirm_frames=self.confirm_frames, lost_s=self.lost_s)

    def tracker_from(self, state: TrackerState) -> Tracker:
        """A tracker that goes on from there."""
        return Tracker.restored(state, confirm_frames=self.confirm_frames, lost_s=self.lost_s)


DEFAULT_LIMITS = TrackLimits()


@dataclass(eq=False)
class ConfirmedTrack:
    """One confirmed track."""

    track: Track
    track_id: str
    ballot: Ballot = field(default_factory=Ballot)
    unclassified: Unclassified | None = None
    """Why no face was good enough so far. Once one was only blurred, size is no longer the reason."""

    @classmethod
    def restored(cls, state: ConfirmedTrackState, track: Track) -> Self:
        """The visitor of which `state` was taken."""
        return cls(track, state.track_id, Ballot(**state.ballot.model_dump()), state.unclassified)

    def state(self) -> ConfirmedTrackState:
        """All that is known of the visitor but the track."""
        if self.track.number is None:
            raise RuntimeError("a track that is not confirmed is no visitor")
        return ConfirmedTrackState(
            number=self.track.number,
            track_id=self.track_id,
            ballot=BallotState.model_validate(self.ballot),
            unclassified=self.unclassified,
        )

    def consider(self, face: FaceInfo, time_s: float) -> SkipReason | None:
        """Takes a vote of the face, or says why it has none."""
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
    """Follows the persons before one camera over all its streams, one after the other.

    A person is called after the stream, the first frame of it that was looked at, and a number: whoever
    looks at the same frames gives the same names, and who takes over in the middle of a stream gives none
    that was given before.

    Args:
        limits: of the trackers.
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
        self._told_s: float | None = None
        self._is_restored = False
        self._gives_other_names = False

    @classmethod
    def restored(cls, state: Checkpoint, limits: TrackLimits = DEFAULT_LIMITS) -> Self:
        """Tracks that go on exactly as those of which `state` was taken, given the same limits."""
        camera = cls(limits)
        camera._tracker = limits.tracker_from(state.tracker)
        camera._clock = StreamClock(state.clock, state.newest)
        camera._stream_id, camera._first_sequence = state.newest.stream_id, state.first_sequence
        camera._newest, camera._seen, camera._told_s = state.newest, dict(state.seen), state.told_s
        tracks = {track.number: track for track in camera._tracker.tracks}
        camera._is_restored = True
        camera._confirmed = {
            one.number: ConfirmedTrack.restored(one, tracks[one.number]) for one in state.confirmed
        }
        return camera

    def checkpoint(self) -> Checkpoint:
        """All that is known, to be kept and restored.

        To be taken after a frame, when others were told what was due.
        """
        if self._newest is None or self._has_new_tracks or self._ended:
            raise RuntimeError("a state is taken after a frame, when others know who came and who went")
        return Checkpoint(
            newest=self._newest,
            seen=tuple(self._seen.items()),
            first_sequence=self._first_sequence,
            told_s=self._told_s,
            clock=self._clock.state(),
            tracker=self._tracker.state(),
            confirmed=tuple(track.state() for track in self._confirmed.values()),
        )

    def has_seen(self, info: FrameInfo) -> bool:
        """Whether this frame, or a later one of its stream, was given to `update` already."""
        return info.sequence <= self._seen.get(info.stream_id, -1)

    def is_late(self, info: FrameInfo) -> bool:
        """Whether a live camera's frame comes when a later stream of it was looked at already.

        So does what a worker of ingest had in hand when it was frozen, and another took its cameras over. To
        follow it would end every visit twice, and count everybody once more.
        """
        return not info.is_complete and info.stream_id != self._stream_id and info.stream_id in self._seen

    def note_left_out(self) -> None:
        """A frame is not going to be looked at, because it is stale.

        Whoever followed the camera before may have given names in it that were never kept.
        """
        self._gives_other_names = self._is_restored

    def update(self, info: FrameInfo, boxes_xyxy: Sequence[BoxXyxy]) -> list[ConfirmedTrack | None]:
        """Whose each of the boxes is, in their order; None where that is nobody for sure.

        To be called for each frame of the camera, also for those without faces.
        """
        if info.stream_id != self._stream_id:
            self._start(info)
        elif self._gives_other_names:
            self._first_sequence = info.sequence
        self._is_restored = self._gives_other_names = False
        self._newest = info
        self._note_seen(info)
        time_s = self._clock.advance(info, is_anybody_followed=not self._tracker.is_empty)
        tracks = self._tracker.update(boxes_xyxy, time_s)
        confirmed = [self._confirmed_track(track) for track in tracks]
        self._collect_ended()
        return confirmed

    @property
    def time_s(self) -> float:
        """When the newest frame was taken, on the clock that the tracks are timed by."""
        return self._clock.now_s

    @property
    def present(self) -> list[ConfirmedTrack]:
        """Everyone confirmed who has not gone, also those who are not in the newest frame."""
        return list(self._confirmed.values())

    @property
    def is_second_over(self) -> bool:
        """Whether a track update is due by the clock alone."""
        return self._told_s is None or not 0 <= self.time_s - self._told_s < TRACK_UPDATE_EVERY_S

    @property
    def is_update_due(self) -> bool:
        """Whether others should be told: about once a second, and when somebody came or went."""
        return self.is_second_over or self._has_new_tracks or bool(self._ended)

    def take_update(self, info: FrameInfo, detected_at_s: float) -> TrackUpdateInfo:
        """Who is there, and who went since the last call."""
        tracks = tuple(_summary(track) for track in (*self._ended, *self._confirmed.values()))
        if self.is_second_over:
            self._told_s = self.time_s
        self._ended, self._has_new_tracks = [], False
        return TrackUpdateInfo(
            frame=info,
            frame_rate_hz=self._clock.rate_hz,
            tracks=tracks,
            detected_at_s=detected_at_s,
        )

    def finish(self, detected_at_s: float) -> TrackUpdateInfo | None:
        """The last track update, when no more frames will come: everyone has gone. None where nobody looked."""
        if self._newest is None:
            return None
        self._tracker.end()
        self._collect_ended()
        return self.take_update(self._newest, detected_at_s)

    def _start(self, info: FrameInfo) -> None:
        self._tracker.end()
        self._collect_ended()
        self._tracker, self._clock = self._limits.tracker(), StreamClock()
        self._stream_id, self._first_sequence, self._told_s = info.stream_id, info.sequence, None

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


class Cameras:
    """The tracks of each camera that was heard of in the last ten minutes.

    Those of a forgotten one are not told to have ended: its camera, or whoever looked at it, is gone as well,
    and a visit that nothing more is heard of is closed where it is stored.
    """

    def __init__(self, limits: TrackLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._by_id: dict[str, tuple[float, CameraTracks]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def finish(self, detected_at_s: float) -> list[TrackUpdateInfo]:
        """The last track update of each camera; all are forgotten."""
        last = [tracks.finish(detected_at_s) for _, tracks in self._by_id.values()]
        self._by_id.clear()
        return [one for one in last if one is not None]

    def checkpoints(self, camera_ids: Iterable[str]) -> list[Checkpoint]:
        """What is known of those of these cameras that are not forgotten."""
        known = [self._by_id[one][1] for one in camera_ids if one in self._by_id]
        return [tracks.checkpoint() for tracks in known]

    def restore(self, states: Iterable[Checkpoint], now_s: float) -> None:
        """Forgets all cameras, and goes on with these as if they had been heard of at `now_s`."""
        self._by_id = {one.camera_id: (now_s, CameraTracks.restored(one, self._limits)) for one in states}

    def of(self, camera_id: str, now_s: float) -> CameraTracks:
        """The tracks of a camera that was heard of at `now_s`, in seconds of the clock of this process."""
        _, tracks = self._by_id.pop(camera_id, (now_s, None))
        tracks = tracks or CameraTracks(self._limits)
        # The one heard of last comes last, so those to be forgotten are the first ones.
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
