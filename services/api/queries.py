"""The parameters in the query of a URL, checked."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
)

from agegender.shared.messages.pipeline import CAMERA_ID_PATTERN, CameraId, Gender
from agegender.shared.times import EXPECTED, parse_time_s, parse_zone

By = Literal["minute", "hour", "day"]
AgeBand = Literal["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+", "unknown"]

LATEST_S = 4_102_444_800.0
"""2100-01-01, the latest time that a query may name."""


def _check_zone(name: str) -> str:
    return parse_zone(name).key


def _parse_time(value: object, info: ValidationInfo) -> object:
    """Seconds since 1970 for a time as text; the zone is the parameter `tz`, which is validated before."""
    if not isinstance(value, str):
        return value
    zone = info.data.get("tz")
    try:
        return parse_time_s(value, time.time(), None if zone is None else parse_zone(zone))
    except ValueError as error:
        hint = " (write a + in a URL as %2B)" if " " in value else ""
        raise ValueError(f"expected {EXPECTED}{hint}") from error


Time = Annotated[
    float,
    BeforeValidator(_parse_time),
    Field(ge=0, le=LATEST_S, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "number", "minimum": 0, "maximum": LATEST_S}],
            "examples": ["2026-11-22", "2026-11-22T12:00:00Z", "2h", 1795348800],
        }
    ),
]

_WRITTEN = f"Written as {EXPECTED.removeprefix('a time as ')}."


class NoQuery(BaseModel):
    """Takes no parameter and refuses any."""

    model_config = ConfigDict(extra="forbid")


class CameraQuery(NoQuery):
    """Selects cameras."""

    camera: Annotated[list[CameraId], Field(max_length=100)] = Field(
        default=[],
        description=f"Only this camera; may be given several times. `{CAMERA_ID_PATTERN}`",
        examples=[["door"]],
    )

    @property
    def camera_ids(self) -> list[str] | None:
        """None: all cameras."""
        return self.camera or None


class TimeQuery(CameraQuery):
    """Selects cameras and the time zone of dates. Subclasses add the times, which need `tz` to come first."""

    tz: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_check_zone)] | None = Field(
        None,
        description="Time zone (IANA) of dates and times of day in `since` and `until` that name none. "
        "Without it: the local time of the machine that runs the API.",
        examples=["Europe/Berlin"],
    )


class VisitsQuery(TimeQuery):
    """Selects visits."""

    since: Time | None = Field(None, description=f"First seen at this time or later. {_WRITTEN}")
    until: Time | None = Field(None, description="First seen before this time.")
    age_band: Annotated[list[AgeBand], Field(max_length=9)] = Field(
        default=[], description="Only this age band; may be given several times.", examples=[["20-29"]]
    )
    gender: Annotated[list[Gender], Field(max_length=3)] = Field(
        default=[], description="Only this gender; may be given several times.", examples=[["female"]]
    )
    limit: int = Field(100, ge=1, le=1_000, description="The most visits in one answer.")
    cursor: str | None = Field(
        None, max_length=200, description="`next` of the previous answer; the older visits follow."
    )


class CountsQuery(TimeQuery):
    """Selects counts."""

    by: By = Field(
        "hour", description="Length of a cell (UTC). Minutes are kept for 48 hours, hours for 35 days."
    )
    since: Time | None = Field(
        None,
        description=f"From this time on. {_WRITTEN} "
        "Without it: an hour of minutes, a day of hours or 30 days before `until`.",
    )
    until: Time | None = Field(None, description="Before this time. Without it: up to now.")
