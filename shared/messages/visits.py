"""A visit as it is counted, stored and queried."""

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
"""The age band of a visit without a classified face."""

SURE_RATE_HZ = 1.5
"""At a lower rate people that walk past are missed, and tracks may break (`docs/tracking.md`)."""

Closed = Literal["left", "timed-out"]
"""Why a visit is over: its track ended, or the silence timeout closed it."""


class Visit(Model):
    """One stay of one person before one camera.

    If the person comes back later, another visit begins, because faces are never recognised. An open visit is
    updated until it is closed. A closed visit never changes.
    """

    camera_id: CameraId
    track_id: TrackId
    """Unique for the camera."""
    first_seen_s: Seconds
    last_seen_s: Seconds
    clock: Clock
    frames: Annotated[int, Field(ge=0)]
    """The number of frames in which the face was found."""
    frame_rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Frames a second that were processed, at the time when they were fewest; None until it is known."""
    faces_classified: Annotated[int, Field(ge=0)]
    """The number of faces from which age and gender were taken."""
    age_years: Years | None = None
    """None exactly when `unclassified` gives the reason."""
    age_interval_years: tuple[Years, Years] | None = None
    """Contains the true age in 80 of 100 cases."""
    unclassified: Unclassified | Literal["not-yet"] | None = None
    gender: Gender = "unknown"
    gender_confidence: Fraction = 0.5
    """Probability of `gender`; for `unknown`, of the likelier gender. 0.5 without a classified face."""
    male_probability: Fraction | None = None
    """For sums, which also need it for uncertain visits. None without a classified face."""
    nets: str | None = None
    """The pack of neural nets, such as `default-1`; see `Verdict.nets`. None without a classified face."""
    closed: Closed | None = None
    """None while the visit is open."""

    @property
    def dwell_s(self) -> float:
        """How long the visit has lasted."""
        return max(0.0, self.last_seen_s - self.first_seen_s)

    @property
    def is_unsure(self) -> bool:
        """Whether so few frames were processed that the person may be counted twice or not at all."""
        return self.frame_rate_hz is not None and self.frame_rate_hz < SURE_RATE_HZ

    @property
    def age_band(self) -> str:
        """One of `messages.AGE_BANDS`, or `UNKNOWN_BAND`."""
        return UNKNOWN_BAND if self.age_years is None else age_band(self.age_years)
