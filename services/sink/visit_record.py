"""A visit while it is open, put together from track summaries and votes. Pure.

The outcome does not depend on the order of the messages, nor on how often each arrives. Each field is the
largest, the smallest or the union of what came, or comes from the latest track summary. Of two track
summaries, the one with more frames is the later one.
"""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import Field

from agegender.shared.messages.pipeline import (
    CameraId,
    Clock,
    Model,
    Seconds,
    TrackId,
    TrackSummary,
    Unclassified,
)
from agegender.shared.messages.visits import Closed, Visit
from agegender.shared.messages.votes import MAX_VOTES, Vote, verdict


class VisitRecord(Model):
    """What is known of a visit, with its votes. It never changes once it is closed.

    A vote may come before the first track summary. Until that summary comes, the visit is not counted.
    """

    camera_id: CameraId
    track_id: TrackId
    first_seen_s: Seconds | None = None
    """None: no track summary came yet."""
    last_seen_s: Seconds = 0.0
    clock: Clock = "arrival"
    frames: Annotated[int, Field(ge=0)] = 0
    frame_rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The lowest rate of the track updates so far."""
    no_vote_reason: Unclassified | None = None
    """Why no face was good enough to be classified, from the latest track summary."""
    ended: bool = False
    """Whether the camera saw the person leave."""
    votes_sent: Annotated[int, Field(ge=0)] = 0
    """How many votes to expect, from the track summaries so far."""
    votes: tuple[Vote, ...] = ()
    """By their numbers; dropped when the visit is closed."""
    closed: Closed | None = None

    def voted(self, vote: Vote) -> Self:
        """With one more vote. Unchanged if it is closed, has that vote already or has all it can have."""
        known = {one.number for one in self.votes}
        if self.closed is not None or vote.number in known or vote.number > MAX_VOTES:
            return self
        votes = tuple(sorted((*self.votes, vote), key=lambda one: one.number))
        return self.model_copy(update={"votes": votes})._closed_if_complete()

    def updated(self, summary: TrackSummary, clock: Clock, rate_hz: float | None = None) -> Self:
        """With one more track summary, with times by `clock`. Unchanged if it is closed.

        Args:
            rate_hz: frames a second that were processed lately; None: not known.
        """
        if self.closed is not None:
            return self
        first_seen_s = summary.first_seen_s if self.first_seen_s is None else self.first_seen_s
        update: dict[str, object] = {
            "first_seen_s": min(first_seen_s, summary.first_seen_s),
            "last_seen_s": max(self.last_seen_s, summary.last_seen_s),
            "frames": max(self.frames, summary.frames),
            "frame_rate_hz": min(
                (one for one in (self.frame_rate_hz, rate_hz) if one is not None), default=None
            ),
            "ended": self.ended or summary.ended,
            "votes_sent": min(max(self.votes_sent, summary.votes_sent), MAX_VOTES),
        }
        if (summary.frames, summary.ended) > (self.frames, self.ended):
            update |= {"no_vote_reason": summary.unclassified, "clock": clock}
        return self.model_copy(update=update)._closed_if_complete()

    def timed_out(self) -> Self:
        """Closed by the silence timeout. Unchanged if it was closed before."""
        return self if self.closed is not None else self.model_copy(update={"closed": "timed-out"})

    @property
    def visit(self) -> Visit | None:
        """The visit as readers see it; None before the first track summary.

        Only for a record that was open when it was read: a closed one has lost its votes.
        """
        if self.first_seen_s is None:
            return None
        found = verdict(self.votes)
        return Visit(
            camera_id=self.camera_id,
            track_id=self.track_id,
            first_seen_s=self.first_seen_s,
            last_seen_s=self.last_seen_s,
            clock=self.clock,
            frames=self.frames,
            frame_rate_hz=self.frame_rate_hz,
            unclassified=None if found.faces_classified else self._why_unclassified(),
            closed=self.closed,
            **found.model_dump(),
        )

    def to_json(self, visit: Visit | None) -> str:
        """The JSON in Redis: the fields of `visit`, and while it is open those of this record."""
        fields = {} if visit is None else visit.model_dump(mode="json", exclude_none=True)
        if self.closed is None:
            fields |= self.model_dump(mode="json", exclude_none=True)
        return json.dumps(fields, separators=(",", ":"))

    def _closed_if_complete(self) -> Self:
        complete = self.ended and len(self.votes) >= self.votes_sent
        return self.model_copy(update={"closed": "left"}) if complete else self

    def _why_unclassified(self) -> str:
        """The reason of the last vote; without votes, that of the track summary."""
        reasons = [vote.unclassified for vote in self.votes if vote.unclassified is not None]
        if reasons:
            return reasons[-1]
        return "not-yet" if self.no_vote_reason is None else self.no_vote_reason
