"""Who is before one camera: its tracks as others are told of them. Pure: boxes in, presences out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.detect.selection import Ballot
from services.detect.tracker import Track, Tracker
from shared.messages import BoxXyxy, FaceInfo, FrameInfo, PresenceInfo, Sighting, Unjudged
from shared.quality import UNUSABLE, why_unjudged
from shared.stage import SkipReason

PRESENCE_EVERY_S = 1.0
FORGET_AFTER_S = 600.0

_RATE_OVER_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """When a track is a person, and for how long that person is waited for."""

    confirm_faces: int = 3
    """Faces that make a track a person."""
    lost_s: float = 2.0
    """For how long a person whose face is lost is taken up again at its place."""

    def tracker(self) -> Tracker:
        """A tracker that has seen nothing yet."""
        return Tracker(confirm_hits=self.confirm_faces, lost_s=self.lost_s)


USUAL_PATIENCE = Patience()


@dataclass(eq=False)
class Visitor:
    """One confirmed track."""

    track: Track
    track_id: str
    ballot: Ballot = field(default_factory=Ballot)
    unjudged: Unjudged | None = None
    """Why no face was good enough so far. Once one was only blurred, size is no longer the reason."""

    def consider(self, face: FaceInfo, time_s: float) -> SkipReason | None:
        """Takes a vote of the face, or says why it has none."""
        why = why_unjudged(face)
        quality = UNUSABLE if face.quality is None else face.quality
        if why is not None:
            if self.ballot.votes == 0 and self.unjudged != "too-blurred":
                self.unjudged = why
            return SkipReason.POOR
        if not self.ballot.wants(quality, time_s):
            return SkipReason.ENOUGH
        self.ballot.add(quality, time_s)
        self.unjudged = None
        return None


class CameraTracks:
    """Follows the persons before one camera over all its streams, one after the other.

    A person is called after the stream, the first frame of it that was looked at, and a number: whoever
    looks at the same frames gives the same names, and who takes over in the middle of a stream gives none
    that was given before.

    Args:
        patience: of the trackers.
    """

    def __init__(self, patience: Patience = USUAL_PATIENCE) -> None:
        self._patience = patience
        self._tracker = patience.tracker()
        self._clock = _Clock()
        self._stream_id: str | None = None
        self._first_sequence = 0
        self._newest: FrameInfo | None = None
        self._visitors: dict[int, Visitor] = {}
        self._ended: list[Visitor] = []
        self._somebody_came = False
        self._told_s: float | None = None

    def has_seen(self, info: FrameInfo) -> bool:
        """Whether this frame, or a later one of its stream, was given to `update` already."""
        newest = self._newest
        return newest is not None and info.stream_id == newest.stream_id and info.sequence <= newest.sequence

    def update(self, info: FrameInfo, boxes_xyxy: Sequence[BoxXyxy]) -> list[Visitor | None]:
        """Whose each of the boxes is, in their order; None where that is nobody for sure.

        To be called for each frame of the camera, also for those without faces.
        """
        if info.stream_id != self._stream_id:
            self._start(info)
        self._newest = info
        tracks = self._tracker.update(boxes_xyxy, self._clock.advance(info))
        visitors = [self._visitor(track) for track in tracks]
        self._collect_ended()
        return visitors

    @property
    def time_s(self) -> float:
        """When the newest frame was taken, on the clock that the tracks are timed by."""
        return self._clock.now_s

    @property
    def present(self) -> list[Visitor]:
        """Everyone confirmed who has not gone, also those who are not in the newest frame."""
        return list(self._visitors.values())

    @property
    def is_second_over(self) -> bool:
        """Whether a presence is due by the clock alone."""
        return self._told_s is None or not 0 <= self.time_s - self._told_s < PRESENCE_EVERY_S

    @property
    def is_presence_due(self) -> bool:
        """Whether others should be told: about once a second, and when somebody came or went."""
        return self.is_second_over or self._somebody_came or bool(self._ended)

    def presence(self, info: FrameInfo, detected_at_s: float) -> PresenceInfo:
        """Who is there, and who went since the last call."""
        sightings = tuple(_sighting(visitor) for visitor in (*self._ended, *self._visitors.values()))
        if self.is_second_over:
            self._told_s = self.time_s
        self._ended, self._somebody_came = [], False
        return PresenceInfo(
            frame=info,
            frame_rate_hz=self._clock.rate_hz,
            sightings=sightings,
            detected_at_s=detected_at_s,
        )

    def finish(self, detected_at_s: float) -> PresenceInfo | None:
        """The last presence, when no more frames will come: everyone has gone. None where nobody looked."""
        if self._newest is None:
            return None
        self._tracker.end()
        self._collect_ended()
        return self.presence(self._newest, detected_at_s)

    def _start(self, info: FrameInfo) -> None:
        self._tracker.end()
        self._collect_ended()
        self._tracker, self._clock = self._patience.tracker(), _Clock()
        self._stream_id, self._first_sequence, self._told_s = info.stream_id, info.sequence, None

    def _collect_ended(self) -> None:
        self._ended += [
            self._visitors.pop(track.number) for track in self._tracker.take_ended() if track.number
        ]

    def _visitor(self, track: Track) -> Visitor | None:
        if track.number is None:
            return None
        if track.number not in self._visitors:
            track_id = f"{self._stream_id}-{self._first_sequence}-{track.number}"
            self._visitors[track.number] = Visitor(track, track_id)
            self._somebody_came = True
        return self._visitors[track.number]


class Cameras:
    """The tracks of each camera that was heard of in the last ten minutes.

    Those of a forgotten one are not told to have ended: its camera, or whoever looked at it, is gone as well,
    and a visit that nothing more is heard of is closed where it is stored.
    """

    def __init__(self, patience: Patience = USUAL_PATIENCE) -> None:
        self._patience = patience
        self._by_id: dict[str, tuple[float, CameraTracks]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def finish(self, detected_at_s: float) -> list[PresenceInfo]:
        """The last presence of each camera; all are forgotten."""
        last = [tracks.finish(detected_at_s) for _, tracks in self._by_id.values()]
        self._by_id.clear()
        return [one for one in last if one is not None]

    def of(self, camera_id: str, now_s: float) -> CameraTracks:
        """The tracks of a camera that was heard of at `now_s`, in seconds of the clock of this process."""
        _, tracks = self._by_id.pop(camera_id, (now_s, None))
        tracks = tracks or CameraTracks(self._patience)
        # The one heard of last comes last, so those to be forgotten are the first ones.
        self._by_id[camera_id] = (now_s, tracks)
        while now_s - next(iter(self._by_id.values()))[0] > FORGET_AFTER_S:
            del self._by_id[next(iter(self._by_id))]
        return tracks


class _Clock:
    """When the frames of one stream were taken, and how many a second there are.

    The frames of a video file are read as fast as they can be worked on, which says nothing about how long
    anybody was there. They are timed as if the file had been played from the moment it was opened.
    """

    def __init__(self) -> None:
        self._file_began_s: float | None = None
        self._latest_s: deque[float] = deque()

    def advance(self, info: FrameInfo) -> float:
        """The time of the next frame, in seconds since 1970."""
        now_s = info.captured_at_s
        if info.media_time_s is not None:
            if self._file_began_s is None:
                self._file_began_s = max(0.0, info.captured_at_s - info.media_time_s)
            now_s = self._file_began_s + info.media_time_s
        if self._latest_s and now_s < self._latest_s[-1]:
            self._latest_s.clear()
        self._latest_s.append(now_s)
        while len(self._latest_s) > 2 and now_s - self._latest_s[0] > _RATE_OVER_S:
            self._latest_s.popleft()
        return now_s

    @property
    def now_s(self) -> float:
        """The time of the newest frame."""
        return self._latest_s[-1]

    @property
    def rate_hz(self) -> float | None:
        """Frames a second over the last five; None where there are not two yet."""
        over_s = self._latest_s[-1] - self._latest_s[0] if self._latest_s else 0.0
        return round((len(self._latest_s) - 1) / over_s, 2) if over_s > 0 else None


def _sighting(visitor: Visitor) -> Sighting:
    track = visitor.track
    return Sighting(
        track_id=visitor.track_id,
        first_seen_s=track.first_s,
        last_seen_s=track.last_s,
        frames=track.hits,
        votes=visitor.ballot.votes,
        unjudged=visitor.unjudged,
        box_xyxy=track.box_xyxy,
        ended=track.ended,
    )
