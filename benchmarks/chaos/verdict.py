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
    live: frozenset[str] = frozenset()
    """Cameras of which old frames are dropped."""
    unread: frozenset[str] = frozenset()
    """The ids of frames that Kafka deleted before detect had read them."""
    left_out: int = 0
    """How many frames of live cameras detect may have dropped, by its own counters."""
    ages_s: Sequence[float] = ()
    """How old each frame of a live camera was when detect looked at it."""
    oldest_s: float = 0.0
    """The deadline of live cameras, with the time of one look."""
    in_hand: int = 0
    """How many frames detect had in hand when it was halted. It could not know how old they became."""


@dataclass
class Verdict:
    """What is wrong, one sentence for each kind of thing, with how many of them there are."""

    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    unexplained: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def kinds(self) -> Mapping[str, Counter[str]]:
        """What may be wrong, by name."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "unexplained": self.unexplained,
            "late": self.late,
            "wrong persons": self.wrong,
        }

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(kind.total() for kind in self.kinds.values())

    def add(self, kind: Counter[str], what: str, number: int) -> None:
        """Notes so many of that, where it is any."""
        if number > 0:
            kind[what] += number

    def sentences(self) -> Sequence[str]:
        """Everything that is wrong."""
        return [
            f"{name}: {number} {what}" for name, kind in self.kinds.items() for what, number in kind.items()
        ]


def check(found: Found) -> Verdict:
    """Holds the store against the frames that were published.

    Both people stand still in every frame, and a visit ends with the stream of its camera. So a stream of
    n frames is 2n faces, and two visits with n faces each. Detect drops the frames that a frozen
    worker had in hand and sent after the first frames of the next worker's stream. It drops frames of a live
    camera that are too old, and counts them. It never sees frames that Kafka deleted before.
    """
    verdict = Verdict()
    gone = late_frames(found.frames) | found.unread
    expected = {one.frame_id: one for one in found.frames if one.frame_id not in gone}
    looked_at = {result.rpartition("/")[0] for result in found.results}
    left_out = {name for name, one in expected.items() if one.camera_id in found.live} - looked_at
    streams = {name: (one.camera_id, one.stream_id) for name, one in expected.items() if name not in left_out}
    verdict.add(
        verdict.lost, "frames that detect neither looked at nor counted", len(left_out) - found.left_out
    )
    _check_faces(verdict, streams, Counter(found.results))
    _check_visits(verdict, Counter(streams.values()), found)
    _check_persons(verdict, found)
    late = sum(one > found.oldest_s for one in found.ages_s)
    verdict.add(
        verdict.late, "faces of frames that were over the deadline", late - found.in_hand * FACES_IN_FRAME
    )
    return verdict


def _check_persons(verdict: Verdict, found: Found) -> None:
    """Before each camera stand one woman and one boy. A gender may be unknown, and never the wrong one.

    Visits that are marked as unsure may be wrong.
    """
    genders: dict[_Stream, Counter[str]] = {}
    for one in found.visits:
        if not one.is_unsure:
            genders.setdefault(_stream(one), Counter())[one.gender] += 1
    for known in genders.values():
        wrong = sum(max(0, known[gender] - 1) for gender in ("female", "male"))
        verdict.add(verdict.wrong, "persons of the wrong gender", wrong)


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
    # The time in the stream, because the clock of the capture times may have been set.
    taken_s = {
        one.frame_id: one.captured_at_s if one.elapsed_s is None else one.elapsed_s
        for one in found.frames
        if (one.camera_id, one.stream_id) == stream
    }
    return sum(at_s > max(taken_s.values()) - TRACK_UPDATE_EVERY_S for at_s in taken_s.values()) - 1


_Stream = tuple[str, str]
"""A camera and one of its streams."""


def _stream(visit: Visit) -> _Stream:
    """The id of a visit begins with the name of its stream."""
    return visit.camera_id, visit.track_id.partition("-")[0]
