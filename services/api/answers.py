"""What the API answers. Times are seconds since 1970-01-01 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agegender.services.api.queries import AgeBand, By
from agegender.shared.messages.pipeline import Clock, Gender, Unclassified
from agegender.shared.messages.visits import Closed, Visit
from agegender.shared.store import CameraStatus, GivenCount, Page

LIVE_WITHIN_S = 10.0
"""A camera of which nothing was written for longer is silent."""

_A_TIME = 1_795_348_800.0


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class CameraAnswer(Answer):
    """A camera and how it goes."""

    camera_id: str = Field(examples=["door"])
    state: Literal["live", "silent"] = Field(
        description=f"`silent`: for {LIVE_WITHIN_S:g} seconds nothing was heard of it."
    )
    written_at_s: float = Field(description="When it was last heard of.", examples=[_A_TIME])
    captured_at_s: float = Field(description="When its newest picture was taken.", examples=[_A_TIME - 0.4])
    clock: Clock = Field(description="Whose clock took these times: the camera's, or ours on arrival.")
    frame_rate_hz: float | None = Field(
        description="Pictures looked at in a second; null until that is known.", examples=[5.0]
    )
    delay_s: float = Field(
        description="From a picture's capture until this was there; under 0 where its clock is fast.",
        examples=[0.4],
    )
    width_px: int = Field(examples=[1280])
    height_px: int = Field(examples=[720])
    present: int | None = Field(
        description="How many people are there now; null where API_LEAST_COUNT is above 1.", examples=[3]
    )
    has_preview: bool = Field(description="Whether preview.jpg has a picture.")

    @classmethod
    def of(cls, camera: CameraStatus, now_s: float, *, has_preview: bool) -> CameraAnswer:
        """What is said of `camera` at `now_s`."""
        return cls(
            camera_id=camera.camera_id,
            state="live" if now_s - camera.written_at_s < LIVE_WITHIN_S else "silent",
            written_at_s=camera.written_at_s,
            captured_at_s=camera.captured_at_s,
            clock=camera.clock,
            frame_rate_hz=camera.frame_rate_hz,
            delay_s=camera.delay_s,
            width_px=camera.size_wh[0],
            height_px=camera.size_wh[1],
            present=camera.present,
            has_preview=has_preview,
        )


class VisitAnswer(Answer):
    """One visit of one person to one camera. Who comes back later is another visit."""

    camera_id: str = Field(examples=["door"])
    track_id: str = Field(description="Unique for the camera.", examples=["l3k9-12"])
    first_seen_s: float = Field(examples=[_A_TIME])
    last_seen_s: float = Field(examples=[_A_TIME + 14.2])
    dwell_s: float = Field(description="From the first to the last sight.", examples=[14.2])
    clock: Clock = Field(description="Whose clock took these times: the camera's, or ours on arrival.")
    frames: int = Field(description="In how many pictures the face was found.", examples=[61])
    faces_classified: int = Field(description="From how many faces age and gender were taken.", examples=[9])
    age_years: float | None = Field(description="null: not classified, see `unclassified`.", examples=[34.1])
    age_interval_years: tuple[float, float] | None = Field(
        description="Holds the true age in 80 of 100 cases.", examples=[(27.0, 41.2)]
    )
    age_band: AgeBand = Field(examples=["30-39"])
    gender: Gender = Field(description="`unknown` where neither is likely enough.", examples=["female"])
    gender_confidence: float = Field(
        description="Probability of `gender`; for `unknown`, of the likelier of the two.", examples=[0.93]
    )
    unclassified: Unclassified | Literal["not-yet"] | None = Field(
        description="Why there is no age: no picture of the face was good enough, or none came yet."
    )
    closed: Closed | None = Field(
        description="null while the person is there; `left`, or `silent` where nothing more was heard."
    )

    @classmethod
    def of(cls, visit: Visit) -> VisitAnswer:
        """What is said of `person`."""
        known = visit.model_dump(include=set(cls.model_fields) - {"dwell_s", "age_band"})
        return cls(**known, dwell_s=visit.dwell_s, age_band=visit.age_band)


class CamerasAnswer(Answer):
    """All cameras, by id."""

    at_s: float = Field(description="When this was true.", examples=[_A_TIME])
    cameras: list[CameraAnswer]


class NowAnswer(Answer):
    """Who is there now."""

    at_s: float = Field(description="When this was true.", examples=[_A_TIME])
    visits: list[VisitAnswer]

    @classmethod
    def of(cls, visits: Iterable[Visit], now_s: float) -> NowAnswer:
        """Everybody of `persons`, who were there at `now_s`."""
        return cls(at_s=now_s, visits=[VisitAnswer.of(one) for one in visits])


class VisitsAnswer(Answer):
    """Persons, those first seen last first."""

    visits: list[VisitAnswer]
    next: str | None = Field(description="`cursor` of the request for those before; null: there are none.")

    @classmethod
    def of(cls, page: Page[Visit]) -> VisitsAnswer:
        """One page."""
        return cls(visits=[VisitAnswer.of(one) for one in page.items], next=page.next)


class CountAnswer(Answer):
    """How many visits of one kind began in one cell of time."""

    start_s: float = Field(description="When the cell begins (UTC).", examples=[_A_TIME])
    camera_id: str = Field(examples=["door"])
    age_band: AgeBand | None = Field(description="null: all ages together.", examples=["30-39"])
    gender: Gender | None = Field(description="null: all genders together.", examples=["female"])
    visits: int | None = Field(description="null: some, and fewer than `fewer_than`.", examples=[4])
    fewer_than: int | None = Field(description="null: `persons` is given.")

    @classmethod
    def of(cls, count: GivenCount) -> CountAnswer:
        """One cell."""
        return cls.model_validate(asdict(count))


class CountsAnswer(Answer):
    """Visits by the time they began, by camera, age and gender; cells with none are left out.

    Where API_LEAST_COUNT is above 1, ages and then genders are added up until no number is smaller.
    """

    by: By
    since_s: float = Field(examples=[_A_TIME])
    until_s: float = Field(examples=[_A_TIME + 86_400])
    counts: list[CountAnswer]


class StateAnswer(Answer):
    """The event `state`: how the cameras go and who is there now."""

    at_s: float = Field(examples=[_A_TIME])
    cameras: list[CameraAnswer]
    visits: list[VisitAnswer]

    def of_cameras(self, camera_ids: frozenset[str]) -> StateAnswer:
        """Only what concerns some cameras."""
        return StateAnswer(
            at_s=self.at_s,
            cameras=[one for one in self.cameras if one.camera_id in camera_ids],
            visits=[one for one in self.visits if one.camera_id in camera_ids],
        )


class HealthAnswer(Answer):
    """Whether the service is well."""

    ok: bool
    problems: dict[str, str] = Field(description="Service → what is wrong with it.", examples=[{}])
