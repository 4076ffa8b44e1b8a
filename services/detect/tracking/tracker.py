"""The tracker: links faces from frame to frame by their boxes alone. Pure: boxes in, tracks out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from agegender.services.detect.tracking.checkpoint import TrackerState, TrackState
from agegender.services.detect.tracking.fit import ExpectedTracks, best_first, misfit
from agegender.shared.messages.pipeline import BoxXyxy

MOST_TRACKS = 400
"""The largest number of tracks. Beyond it, lost tracks end first, then unconfirmed ones.

`agegender.shared.messages.codec` reads at most 288 KiB of JSON. A checkpoint of this many tracks fits, and so
does the track update when all of them end and as many new ones are confirmed.
"""

_VELOCITY_SETTLES_S = 0.25
_LEAST_STEP_S = 0.001
_UNSEEN_S = 8.0  # most people are there for longer than that


@dataclass(eq=False)
class Track:
    """The face of one person over the frames of one stream."""

    box_xyxy: BoxXyxy
    first_s: float
    last_s: float
    frames: int = 1
    """The number of frames in which the face was found."""
    number: int | None = None
    """The number of the confirmed track, from 1; None while it is unconfirmed."""
    misses: int = 0
    """Frames since the face was last found."""
    ended: bool = False
    velocity_xy: tuple[float, float] = field(default=(0.0, 0.0))
    """Pixels a second."""

    @property
    def is_settled(self) -> bool:
        """Whether the track is confirmed, or has ended without being confirmed."""
        return self.ended or self.number is not None


class Tracker:
    """Tracks the faces of one stream.

    A track is confirmed with its third face, because false detections rarely repeat. A confirmed track with a
    lost face goes on when a face appears within two seconds near its expected path. Time without any frame
    tells nothing: after it, a track still waits for at least two frames. All tracks end when the clock is set
    back, or after a gap of more than eight seconds that is much longer than the one before.

    The best pair of track and box is linked first, then the best of the rest; `fit.misfit` gives the cost.
    The tracker holds at most `MOST_TRACKS` tracks.

    Args:
        confirm_frames: the number of faces that confirms a track.
        lost_s: how long a confirmed track waits for its face.
        tentative_s: how long an unconfirmed track waits. Both wait for at least two frames.
    """

    def __init__(self, *, confirm_frames: int = 3, lost_s: float = 2.0, tentative_s: float = 0.5) -> None:
        self._confirm_frames = confirm_frames
        self._lost_s = lost_s
        self._tentative_s = tentative_s
        self._tracks: list[Track] = []
        self._ended: deque[Track] = deque(maxlen=MOST_TRACKS)
        self._confirmed = 0
        self._last_s: float | None = None
        self._gap_s = 0.0

    @classmethod
    def restored(
        cls, state: TrackerState, *, confirm_frames: int = 3, lost_s: float = 2.0, tentative_s: float = 0.5
    ) -> Self:
        """A tracker with this state. With the same arguments and boxes it goes on exactly as before."""
        tracker = cls(confirm_frames=confirm_frames, lost_s=lost_s, tentative_s=tentative_s)
        tracker._tracks = [Track(**track.model_dump()) for track in state.tracks]
        tracker._ended.extend(Track(**track.model_dump()) for track in state.ended)
        tracker._confirmed, tracker._last_s, tracker._gap_s = state.confirmed, state.last_s, state.gap_s
        return tracker

    def state(self) -> TrackerState:
        """The state for `restored`."""
        return TrackerState(
            tracks=tuple(TrackState.model_validate(track) for track in self._tracks),
            ended=tuple(TrackState.model_validate(track) for track in self._ended),
            confirmed=self._confirmed,
            last_s=self._last_s,
            gap_s=self._gap_s,
        )

    @property
    def tracks(self) -> list[Track]:
        """The confirmed tracks that have not ended, in the order of their numbers."""
        return sorted((t for t in self._tracks if t.number is not None), key=lambda t: t.number or 0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no track, not even an unconfirmed one."""
        return not self._tracks

    @property
    def is_followed(self) -> bool:
        """Whether each track is confirmed and has its face in the newest frame; also where there is none."""
        return all(track.number is not None and track.misses == 0 for track in self._tracks)

    def take_ended(self) -> list[Track]:
        """The confirmed tracks that ended since the last call, at most the last `MOST_TRACKS`.

        A call after each `update` and `end` returns all of them.
        """
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def update(self, boxes_xyxy: Sequence[BoxXyxy], time_s: float) -> list[Track]:
        """The track of each box of the frame at `time_s`, in the order of the boxes.

        Must be called for frames without faces too. Later calls change the tracks.
        """
        self._watch_clock(time_s)
        found: dict[int, Track] = {}
        for t, b in self._pairs(boxes_xyxy, time_s):
            found[b] = self._tracks[t]
            _follow(self._tracks[t], boxes_xyxy[b], time_s)
        followed = {id(track) for track in found.values()}
        for track in self._tracks:
            if id(track) not in followed:
                self._miss(track, time_s)
        in_order = [found.get(b) or Track(box, time_s, time_s) for b, box in enumerate(boxes_xyxy)]
        self._tracks += [track for track in in_order if id(track) not in followed]
        self._end_surplus()
        for track in in_order:
            if track.number is None and self._is_confirmed(track) and not track.ended:
                self._confirmed += 1
                track.number = self._confirmed
        self._drop_ended()
        return in_order

    def scale(self, x: float, y: float) -> None:
        """Goes on with frames that are larger by these factors and show the same scene."""
        for track in self._tracks:
            left, top, right, bottom = track.box_xyxy
            track.box_xyxy = left * x, top * y, right * x, bottom * y
            track.velocity_xy = track.velocity_xy[0] * x, track.velocity_xy[1] * y

    def end(self) -> None:
        """Ends all tracks."""
        for track in self._tracks:
            track.ended = True
        self._drop_ended()

    def _watch_clock(self, time_s: float) -> None:
        gap_s = 0.0 if self._last_s is None else time_s - self._last_s
        if gap_s < 0 or (self._gap_s > 0 and gap_s > max(self._lost_s, _UNSEEN_S, 4 * self._gap_s)):
            self.end()
        self._last_s, self._gap_s = time_s, max(gap_s, 0.0)

    def _pairs(self, boxes_xyxy: Sequence[BoxXyxy], time_s: float) -> list[tuple[int, int]]:
        if not self._tracks or not boxes_xyxy:
            return []
        unseen_s = np.array([time_s - track.last_s for track in self._tracks])
        expected = ExpectedTracks(
            boxes_xyxy=np.array([track.box_xyxy for track in self._tracks], np.float64),
            velocities_xy=np.array([track.velocity_xy for track in self._tracks], np.float64),
            unseen_s=unseen_s,
            missed_s=np.maximum(unseen_s - self._gap_s, 0.0),
            is_new=np.array([track.frames == 1 for track in self._tracks]),
        )
        return best_first(misfit(expected, np.array(boxes_xyxy, np.float64)))

    def _miss(self, track: Track, time_s: float) -> None:
        track.misses += 1
        patience_s = self._tentative_s if track.number is None else self._lost_s
        track.ended = track.misses > 2 and time_s - track.last_s > patience_s

    def _is_confirmed(self, track: Track) -> bool:
        return track.number is not None or track.frames >= self._confirm_frames

    def _worth(self, track: Track) -> tuple[bool, bool, float, int]:
        return track.misses == 0, self._is_confirmed(track), track.last_s, track.frames

    def _end_surplus(self) -> None:
        surplus = len(self._tracks) - MOST_TRACKS
        if surplus > 0:
            for track in sorted(self._tracks, key=self._worth)[:surplus]:
                track.ended = True

    def _drop_ended(self) -> None:
        self._ended.extend(track for track in self._tracks if track.ended and track.number is not None)
        self._tracks = [track for track in self._tracks if not track.ended]


def _follow(track: Track, box: BoxXyxy, time_s: float) -> None:
    passed_s = time_s - track.last_s
    if passed_s >= _LEAST_STEP_S:
        (x, y), (before_x, before_y) = _centre(box), _centre(track.box_xyxy)
        vx, vy = track.velocity_xy
        # The first velocities are averaged. Later ones are smoothed over a time, not over a number of frames.
        gain = max(1.0 / track.frames, 1.0 - math.exp(-passed_s / _VELOCITY_SETTLES_S))
        track.velocity_xy = (
            vx + gain * ((x - before_x) / passed_s - vx),
            vy + gain * ((y - before_y) / passed_s - vy),
        )
    track.box_xyxy, track.last_s = box, time_s
    track.frames, track.misses = track.frames + 1, 0


def _centre(box: Sequence[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
