"""One visit of one person to one camera, as it is counted, stored and queried."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agegender.shared.messages.pipeline import (
    CameraId,
    Clock,
    Fraction,
    Gender,
    Model,
    Seconds,
    TrackId,
    Unclassified,
    Years,
    age_band,
)

UNKNOWN_BAND = "unknown"
"""The age band of a person who was never classified."""

Closed = Literal["left", "silent"]
"""Why a visit is over: the camera saw the person leave, or nothing more was heard of it."""


class Visit(Model):
    """One visit: from the first to the last time that a camera saw somebody without a longer break.

    Who comes back later is another visit, because nobody is recognised again. While the person is there, the
    record is amended; once it is closed it never changes.
    """

    camera_id: CameraId
    track_id: TrackId
    """Unique for the camera."""
    first_seen_s: Seconds
    last_seen_s: Seconds
    clock: Clock
    frames: Annotated[int, Field(ge=0)]
    """In how many frames the face was found."""
    faces_classified: Annotated[int, Field(ge=0)]
    """From how many faces age and gender were taken."""
    age_years: Years | None = None
    """None exactly where `unclassified` says why."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases."""
    unclassified: Unclassified | Literal["not-yet"] | None = None
    gender: Gender = "unknown"
    gender_confidence: Fraction = 0.5
    """Probability of `gender`; for `unknown`, of the likelier of the two: 0.5 where nothing was classified."""
    male_probability: Fraction | None = None
    """For sums, which need it of uncertain persons as well. None where nobody was classified."""
    closed: Closed | None = None
    """None while the person is there."""

    @property
    def dwell_s(self) -> float:
        """How long the visit has lasted."""
        return max(0.0, self.last_seen_s - self.first_seen_s)

    @property
    def age_band(self) -> str:
        """One of `messages.AGE_BANDS`, or `UNKNOWN_BAND`."""
        return UNKNOWN_BAND if self.age_years is None else age_band(self.age_years)
