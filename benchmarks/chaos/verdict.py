"""What should be in the store after all that, held against what is there. Pure, and apart from the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agegender.services.detect.tracking.camera_tracks import TRACK_UPDATE_EVERY_S
from agegender.shared.messages.pipeline import FrameInfo
from agegender.shared.messages.visits import Visit

FACES_IN_FRAME = 2


@dataclass(frozen=True)
class Found:
    """What lies at both ends of the pipeline when everything has come to rest."""

    frames: Sequence[FrameInfo]
    """In the topic, of scenes with two people, in their order; one that came twice stands here twice."""
    results: Sequence[str]
    """The face id of each single result in the store."""
    visits: Sequence[Visit]
    closed: Sequence[Visit]
    """Each entry in the streams of closed visits."""
    counted: int
    """The sum of all counts of visits."""


@dataclass
class Verdict:
    """What is wrong, one sentence for each kind of thing, with how many of them there are."""

    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    unexplained: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(kind.total() for kind in (self.lost, self.doubled, self.unexplained))

    def add(self, kind: Counter[str], what: str, number: int) -> None:
        """Notes so many of that, where it is any."""
        if number > 0:
            kind[what] += number

    def sentences(self) -> Sequence[str]:
        """Everything that is wrong."""
        kinds = {"lost": self.lost, "doubled": self.doubled, "unexplained": self.unexplained}
        return [f"{name}: {number} {what}" for name, kind in kinds.items() for what, number in kind.items()]


def check(found: Found) -> Verdict:
    """Holds the store against the frames that were published.

    Both people stand still in every frame, and a visit ends with the stream of its camera. So a stream of
    n frames is 2n faces, and two visits with n faces each. Detect drops the frames that a frozen
    worker had in hand and sent after the first frames of the next worker's stream.
    """
    verdict = Verdict()
    late = late_frames(found.frames)
    streams = {
        one.frame_id: (one.camera_id, one.stream_id) for one in found.frames if one.frame_id not in late
    }
    _check_faces(verdict, streams, Counter(found.results))
    _check_visits(verdict, Counter(streams.values()), found)
    return verdict


def late_frames(frames: Iterable[FrameInfo]) -> set[str]:
    """The ids of frames that first come when a later stream of their camera has begun."""
    newest: dict[str, str] = {}
    seen: set[str] = set()
    begun: set[_Stream] = set()
    late: set[str] = set()
    for one in frames:
        stream = (one.camera_id, one.stream_id)
        if one.frame_id not in seen and stream in begun and newest[one.camera_id] != one.stream_id:
            late.add(one.frame_id)
        elif stream not in begun:
            newest[one.camera_id] = one.stream_id
            begun.add(stream)
        seen.add(one.frame_id)
    return late


def _check_faces(verdict: Verdict, frame_ids: Iterable[str], stored: Counter[str]) -> None:
    expected = {f"{frame_id}/{index}" for frame_id in frame_ids for index in range(FACES_IN_FRAME)}
    verdict.add(verdict.lost, "faces of published frames", len(expected - stored.keys()))
    verdict.add(verdict.doubled, "faces in the store", stored.total() - len(stored))
    verdict.add(verdict.unexplained, "faces that no published frame has", len(stored.keys() - expected))


def _check_visits(verdict: Verdict, frames_of_stream: Mapping[_Stream, int], found: Found) -> None:
    visits = Counter(_stream(one) for one in found.visits)
    seen: Counter[_Stream] = Counter()
    for one in found.visits:
        seen[_stream(one)] += one.frames
    for stream, frames in frames_of_stream.items():
        verdict.add(verdict.lost, "visits", FACES_IN_FRAME - visits[stream])
        verdict.add(verdict.doubled, "visits", visits[stream] - FACES_IN_FRAME)
        untold = FACES_IN_FRAME * _untold(stream, found)
        off = max(seen[stream] - FACES_IN_FRAME * frames, FACES_IN_FRAME * frames - untold - seen[stream], 0)
        verdict.add(verdict.unexplained, "faces too many or too few for the visits of their stream", off)
    strange = visits.keys() - frames_of_stream.keys()
    verdict.add(verdict.unexplained, "visits of no published stream", sum(visits[one] for one in strange))
    ids = {(one.camera_id, one.track_id) for one in found.visits}
    closed = Counter((one.camera_id, one.track_id) for one in found.closed)
    verdict.add(verdict.lost, "visits that were never closed", len(ids - closed.keys()))
    verdict.add(verdict.doubled, "times a visit was closed again", closed.total() - len(closed))
    verdict.add(
        verdict.unexplained, "visits too many or too few in the counts", abs(found.counted - len(ids))
    )


def _untold(stream: _Stream, found: Found) -> int:
    """The number of frames of a stream that its visits may lack.

    Zero if their tracks ended. If the camera fell silent, the frames after the last track update: no later
    frame came to cause another update.
    """
    if not any(_stream(one) == stream and one.closed == "timed-out" for one in found.visits):
        return 0
    taken_s = {
        one.frame_id: one.captured_at_s for one in found.frames if (one.camera_id, one.stream_id) == stream
    }
    return sum(at_s > max(taken_s.values()) - TRACK_UPDATE_EVERY_S for at_s in taken_s.values()) - 1


_Stream = tuple[str, str]
"""A camera and one of its streams."""


def _stream(visit: Visit) -> _Stream:
    """The id of a visit begins with the name of its stream."""
    return visit.camera_id, visit.track_id.partition("-")[0]
