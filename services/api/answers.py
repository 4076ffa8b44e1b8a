"""The answers of the API. Times are seconds since 1970-01-01 UTC."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agegender.services.api.queries import AgeBand, By
from agegender.shared.messages.pipeline import Clock, Gender, Unclassified
from agegender.shared.messages.visits import Closed, Visit
from agegender.shared.store import CameraState, CameraStatus, GivenCount, Page, ResultStore
from agegender.shared.store.answers import SILENT_AFTER_S

_A_TIME = 1_795_348_800.0


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class CameraAnswer(Answer):
    """A camera and its state."""

    camera_id: str = Field(examples=["door"])
    state: CameraState = Field(
        description="`failing`: `reason` and `detail` say why. `stopped`: it is not read any more. "
        f"`silent`: no frame for {SILENT_AFTER_S:g} seconds, and no reason is known."
    )
    since_s: float | None = Field(
        description="When this state began; null for a live camera.", examples=[_A_TIME - 60.0]
    )
    reason: str | None = Field(description="Of a failing camera, in a word.", examples=["login"])
    detail: str | None = Field(
        description="Of a failing or stopped camera, in a sentence.",
        examples=["401 Unauthorized: the user or the password is wrong"],
    )
    written_at_s: float | None = Field(
        description="When the newest frame was stored; null before the first one, as all that a frame tells.",
        examples=[_A_TIME],
    )
    captured_at_s: float | None = Field(
        description="Capture time of the newest frame.", examples=[_A_TIME - 0.4]
    )
    clock: Clock | None = Field(description="Source of these times: the camera's clock, or ours on arrival.")
    frame_rate_hz: float | None = Field(
        description="Frames processed per second; null until it is known.", examples=[5.0]
    )
    captured_rate_hz: float | None = Field(
        description="Frames captured per second; null until it is known.", examples=[5.0]
    )
    is_overloaded: bool = Field(description="Whether clearly fewer frames are processed than captured.")
    delay_s: float | None = Field(
        description="From capture to store; below 0 if the camera's clock is fast.",
        examples=[0.4],
    )
    width_px: int | None = Field(examples=[1280])
    height_px: int | None = Field(examples=[720])
    present: int | None = Field(
        description="How many people are there now; null if API_LEAST_COUNT is above 1.", examples=[3]
    )
    has_preview: bool = Field(description="Whether preview.jpg answers with a picture.")

    @classmethod
    def of(cls, camera: CameraStatus, now_s: float, *, has_preview: bool) -> CameraAnswer:
        """The answer for `camera` at `now_s`."""
        frame, state = camera.frame, camera.state(now_s)
        notice = camera.notice_at(now_s)
        return cls(
            camera_id=camera.camera_id,
            state=state,
            since_s=camera.since_s(now_s),
            reason=notice and notice.reason,
            detail=notice and notice.detail,
            written_at_s=frame and frame.written_at_s,
            captured_at_s=frame and frame.captured_at_s,
            clock=frame and frame.clock,
            frame_rate_hz=frame and frame.frame_rate_hz,
            captured_rate_hz=frame and frame.captured_rate_hz,
            is_overloaded=frame is not None and frame.is_overloaded,
            delay_s=frame and frame.delay_s,
            width_px=frame and frame.size_wh[0],
            height_px=frame and frame.size_wh[1],
            present=camera.present,
            has_preview=has_preview,
        )


class VisitAnswer(Answer):
    """One stay of one person before one camera. A return is another visit."""

    camera_id: str = Field(examples=["door"])
    track_id: str = Field(description="Unique for the camera.", examples=["l3k9-12"])
    first_seen_s: float = Field(examples=[_A_TIME])
    last_seen_s: float = Field(examples=[_A_TIME + 14.2])
    dwell_s: float = Field(description="Time from first to last sight.", examples=[14.2])
    clock: Clock = Field(description="Source of these times: the camera's clock, or ours on arrival.")
    frames: int = Field(description="Number of frames in which the face was found.", examples=[61])
    frame_rate_hz: float | None = Field(
        description="Frames processed per second when they were fewest; null until it is known.",
        examples=[5.0],
    )
    is_unsure: bool = Field(
        description="Under 1.5 frames per second: the person may be counted twice or not at all."
    )
    faces_classified: int = Field(description="From how many faces age and gender come.", examples=[9])
    age_years: float | None = Field(
        description="null: no face is classified, see `unclassified`.", examples=[34.1]
    )
    age_interval_years: tuple[float, float] | None = Field(
        description="Holds the true age in 80 of 100 cases.", examples=[(27.0, 41.2)]
    )
    age_band: AgeBand = Field(examples=["30-39"])
    gender: Gender = Field(description="`unknown` if neither is likely enough.", examples=["female"])
    gender_confidence: float = Field(
        description="Probability of `gender`; for `unknown`, of the likelier of the two.", examples=[0.93]
    )
    nets: str | None = Field(
        description="The pack of neural nets that classified the faces; null: no face is classified.",
        examples=["default-1"],
    )
    unclassified: Unclassified | Literal["not-yet"] | None = Field(
        description="Why there is no age: every face was too small or too blurred, or none is classified yet."
    )
    closed: Closed | None = Field(
        description="null: open; `left`: seen to leave; `timed-out`: closed by the silence timeout."
    )

    @classmethod
    def of(cls, visit: Visit) -> VisitAnswer:
        """The answer for `visit`."""
        known = visit.model_dump(include=set(cls.model_fields) - {"dwell_s", "age_band", "is_unsure"})
        return cls(**known, dwell_s=visit.dwell_s, age_band=visit.age_band, is_unsure=visit.is_unsure)


class CamerasAnswer(Answer):
    """All cameras, by id."""

    at_s: float = Field(description="The time of this answer.", examples=[_A_TIME])
    cameras: list[CameraAnswer]


class NowAnswer(Answer):
    """The visits of the people present now."""

    at_s: float = Field(description="The time of this answer.", examples=[_A_TIME])
    visits: list[VisitAnswer]


class VisitsAnswer(Answer):
    """One page of visits, the latest first."""

    visits: list[VisitAnswer]
    next: str | None = Field(description="`cursor` for the next page of older visits; null on the last page.")

    @classmethod
    def of(cls, page: Page[Visit]) -> VisitsAnswer:
        """The answer for `page`."""
        return cls(visits=[VisitAnswer.of(one) for one in page.items], next=page.next)


class CountAnswer(Answer):
    """How many visits of one kind began in one minute, hour or day."""

    start_s: float = Field(description="When the minute, hour or day begins (UTC).", examples=[_A_TIME])
    camera_id: str = Field(examples=["door"])
    age_band: AgeBand | None = Field(description="null: all ages together.", examples=["30-39"])
    gender: Gender | None = Field(description="null: all genders together.", examples=["female"])
    visits: int | None = Field(description="null: at least one, and fewer than `fewer_than`.", examples=[4])
    fewer_than: int | None = Field(description="null: `visits` is given.")

    @classmethod
    def of(cls, count: GivenCount) -> CountAnswer:
        """The answer for `count`."""
        return cls.model_validate(asdict(count))


class CountsAnswer(Answer):
    """Visits by the time they began, by camera, age and gender. Counts of 0 are left out.

    If API_LEAST_COUNT is above 1, ages and then genders are added up until no number is smaller.
    """

    by: By
    since_s: float = Field(examples=[_A_TIME])
    until_s: float = Field(examples=[_A_TIME + 86_400])
    counts: list[CountAnswer]


class StateAnswer(Answer):
    """The event `state`: all cameras, and the visits of the people present now."""

    at_s: float = Field(examples=[_A_TIME])
    cameras: list[CameraAnswer]
    visits: list[VisitAnswer]

    def of_cameras(self, camera_ids: frozenset[str]) -> StateAnswer:
        """The same for some cameras only."""
        return StateAnswer(
            at_s=self.at_s,
            cameras=[one for one in self.cameras if one.camera_id in camera_ids],
            visits=[one for one in self.visits if one.camera_id in camera_ids],
        )


class HealthAnswer(Answer):
    """Whether the service works."""

    ok: bool
    problems: dict[str, str] = Field(description="Service → its problem.", examples=[{}])


def cameras_with_preview(store: ResultStore) -> frozenset[str]:
    """The ids of the cameras that have a preview now."""
    ids = [camera.camera_id for camera in store.cameras()]
    return frozenset(one for one in ids if store.preview(one) is not None)


def camera_answers(store: ResultStore, now_s: float, previews: Collection[str]) -> list[CameraAnswer]:
    """All cameras at `now_s`; `previews` are the ids of those that have one."""
    return [CameraAnswer.of(one, now_s, has_preview=one.camera_id in previews) for one in store.cameras()]


def present_answers(store: ResultStore, camera_ids: list[str] | None = None) -> list[VisitAnswer]:
    """The visits of the people present now, at some cameras or at all."""
    return [VisitAnswer.of(one) for one in store.now(camera_ids)]
