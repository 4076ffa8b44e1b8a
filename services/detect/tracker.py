"""Which face of one frame is which of the frames before, by its place alone. Pure: boxes in, tracks out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.messages import BoxXyxy

MOST_TRACKS = 1_000

_LARGEST_GROWTH = math.log(2.0)
# In sides of the face. Someone who walks past passes four to eight of them a second.
_APART_AT_ONCE, _APART_A_SECOND, _FARTHEST = 0.6, 4.0, 1.6
_PREDICTED_S = 0.5  # a face lost for longer is looked for where it was heading by then


@dataclass(eq=False)
class Track:
    """One face followed over frames."""

    box_xyxy: BoxXyxy
    first_s: float
    last_s: float
    hits: int = 1
    number: int | None = None
    """Counts the confirmed tracks from 1; None until then."""
    misses: int = 0
    """Frames since the face was last seen."""
    ended: bool = False
    velocity_xy: tuple[float, float] = field(default=(0.0, 0.0))
    """Pixels a second."""

    @property
    def is_settled(self) -> bool:
        """Whether it is known if this track will ever be confirmed."""
        return self.ended or self.number is not None


class Tracker:
    """Follows faces from frame to frame of one stream.

    A track is confirmed with its third face: a detector's slip makes no person. A confirmed one that is lost
    is taken up again at its place for two seconds; the longer it is lost, the further it may have moved. A
    clock that is set back, or a gap far longer than the frames before were apart, ends all tracks.

    Each face goes to the track that it fits best, the best pair first. A face fits where its box overlaps the
    one expected, or its centre is near it and its size alike.

    Args:
        confirm_hits: faces that make a track a confirmed one.
        lost_s: how long a confirmed track waits for its face.
        tentative_s: the same for one that is not confirmed. Both wait for two frames at least.
    """

    def __init__(self, *, confirm_hits: int = 3, lost_s: float = 2.0, tentative_s: float = 0.5) -> None:
        self._confirm_hits = confirm_hits
        self._lost_s = lost_s
        self._tentative_s = tentative_s
        self._tracks: list[Track] = []
        self._ended: deque[Track] = deque(maxlen=MOST_TRACKS)
        self._confirmed = 0
        self._last_s: float | None = None
        self._gap_s = 0.0

    @property
    def tracks(self) -> list[Track]:
        """The confirmed tracks that have not ended, in the order of their numbers."""
        return sorted((t for t in self._tracks if t.number is not None), key=lambda t: t.number or 0)

    def take_ended(self) -> list[Track]:
        """The confirmed tracks that ended since the last call. Misses none if called after each update."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def update(self, boxes_xyxy: Sequence[BoxXyxy], time_s: float) -> list[Track]:
        """The track of each box of the frame at `time_s`, in the order of the boxes.

        To be called for frames without faces too. The tracks go on changing with later calls.
        """
        self._watch_clock(time_s)
        pairs = sorted(
            (cost, t, b)
            for t, track in enumerate(self._tracks)
            for b, box in enumerate(boxes_xyxy)
            if (cost := _cost(track, box, time_s)) is not None
        )
        found: dict[int, Track] = {}
        taken: set[int] = set()
        for _, t, b in pairs:
            if t not in taken and b not in found:
                taken.add(t)
                found[b] = self._tracks[t]
                _follow(self._tracks[t], boxes_xyxy[b], time_s)
        for b, box in enumerate(boxes_xyxy):
            if b not in found:
                found[b] = Track(box, time_s, time_s)
        for t, track in enumerate(self._tracks):
            if t not in taken:
                self._miss(track, time_s)
        known = {id(track) for track in self._tracks}
        self._drop_ended()
        self._tracks += [track for track in found.values() if id(track) not in known]
        in_order = [found[b] for b in range(len(boxes_xyxy))]
        for track in in_order:
            if track.number is None and track.hits >= self._confirm_hits:
                self._confirmed += 1
                track.number = self._confirmed
        return in_order

    def end(self) -> None:
        """Ends all tracks."""
        for track in self._tracks:
            track.ended = True
        self._drop_ended()

    def _drop_ended(self) -> None:
        self._ended.extend(track for track in self._tracks if track.ended and track.number is not None)
        self._tracks = [track for track in self._tracks if not track.ended]

    def _watch_clock(self, time_s: float) -> None:
        gap_s = 0.0 if self._last_s is None else time_s - self._last_s
        if gap_s < 0 or (self._gap_s > 0 and gap_s > max(self._lost_s, 4 * self._gap_s)):
            self.end()
        self._last_s, self._gap_s = time_s, max(gap_s, 0.0)

    def _miss(self, track: Track, time_s: float) -> None:
        track.misses += 1
        patience_s = self._tentative_s if track.number is None else self._lost_s
        track.ended = track.misses > 2 and time_s - track.last_s > patience_s


def _cost(track: Track, box: BoxXyxy, time_s: float) -> float | None:
    """How badly `box` fits `track`, from 0; None where it cannot be the same face."""
    lost_s = time_s - track.last_s
    ahead_s = min(lost_s, _PREDICTED_S)
    moved = tuple(track.velocity_xy[i % 2] * ahead_s + side for i, side in enumerate(track.box_xyxy))
    growth = abs(math.log(_side(box) / _side(track.box_xyxy)))
    (x, y), (expected_x, expected_y) = _centre(box), _centre(moved)
    apart = math.hypot(x - expected_x, y - expected_y) / _side(track.box_xyxy)
    overlap = _overlap(box, moved)
    may_be_apart = min(_APART_AT_ONCE + _APART_A_SECOND * lost_s, _FARTHEST)
    if growth > _LARGEST_GROWTH or (overlap < 0.2 and apart > may_be_apart):
        return None
    return apart + growth + (1.0 - overlap) + 0.5 * min(lost_s, 2.0)


def _follow(track: Track, box: BoxXyxy, time_s: float) -> None:
    passed_s = time_s - track.last_s
    if passed_s > 0:
        (x, y), (before_x, before_y) = _centre(box), _centre(track.box_xyxy)
        now_xy = ((x - before_x) / passed_s, (y - before_y) / passed_s)
        vx, vy = track.velocity_xy
        track.velocity_xy = (0.5 * vx + 0.5 * now_xy[0], 0.5 * vy + 0.5 * now_xy[1])
    track.box_xyxy, track.last_s = box, time_s
    track.hits, track.misses = track.hits + 1, 0


def _centre(box: Sequence[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _side(box: Sequence[float]) -> float:
    return max(1.0, math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])))


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)
