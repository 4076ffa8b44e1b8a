"""What can be asked for: the parameters in the query of a URL, checked."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from agegender.shared.messages.pipeline import CAMERA_ID_PATTERN, CameraId, Gender

By = Literal["minute", "hour", "day"]
AgeBand = Literal["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+", "unknown"]

LAST_MOMENT_S = 4_102_444_800.0
"""2100-01-01."""

_NUMBER = re.compile(r"-?\d+(\.\d*)?")


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value) if len(value) < 40 else math.inf
    try:
        moment = datetime.fromisoformat(value)
        # A time without a zone is taken for UTC, as all times here are.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        hint = " (in a URL a + is written %2B)" if " " in value else ""
        raise ValueError(
            "expected seconds since 1970 or ISO 8601, such as 1795348800 or 2026-11-22T12:00:00Z" + hint
        ) from None


Moment = Annotated[
    float,
    BeforeValidator(_moment),
    Field(ge=0, le=LAST_MOMENT_S, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}],
            "examples": ["2026-11-22T12:00:00Z", 1795348800],
        }
    ),
]

_SINCE = "From this moment on, as ISO 8601 (UTC where no zone is given) or in seconds since 1970."
_UNTIL = "Up to, and without, this moment."


class NoQuery(BaseModel):
    """Takes no parameter, and says so where one comes."""

    model_config = ConfigDict(extra="forbid")


class CameraQuery(NoQuery):
    """Of which cameras."""

    camera: Annotated[list[CameraId], Field(max_length=100)] = Field(
        default=[],
        description=f"Only of this camera; may be given several times. `{CAMERA_ID_PATTERN}`",
        examples=[["door"]],
    )

    @property
    def camera_ids(self) -> list[str] | None:
        """None: of all."""
        return self.camera or None


class VisitsQuery(CameraQuery):
    """Which persons."""

    since: Moment | None = Field(None, description=f"First seen {_SINCE[0].lower()}{_SINCE[1:]}")
    until: Moment | None = Field(None, description=_UNTIL)
    age_band: Annotated[list[AgeBand], Field(max_length=9)] = Field(
        default=[], description="Only of this age; may be given several times.", examples=[["20-29"]]
    )
    gender: Annotated[list[Gender], Field(max_length=3)] = Field(
        default=[], description="Only of this gender; may be given several times.", examples=[["female"]]
    )
    limit: int = Field(100, ge=1, le=1_000, description="Most persons of an answer.")
    cursor: str | None = Field(
        None, max_length=200, description="`next` of the answer before: the older persons follow."
    )


class CountsQuery(CameraQuery):
    """Which counts."""

    by: By = Field("hour", description="Length of a cell. Minutes are kept for 48 h, hours for 35 days.")
    since: Moment | None = Field(
        None,
        description=f"{_SINCE} Without it: an hour of minutes, a day of hours, 30 days before `until`.",
    )
    until: Moment | None = Field(None, description=f"{_UNTIL} Without it: up to now.")
