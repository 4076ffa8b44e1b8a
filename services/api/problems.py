"""Errors as JSON (RFC 9457): what was expected, what came, what to do.

The package `fastapi-problem` would not make this shorter. It formats the JSON, but the texts, `hint`,
`errors` and the masking of secrets would remain here. And it would add three packages of one author.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from agegender.shared.errors import NotNow, SchemaMismatch
from agegender.shared.process.secrets import mask_message

RETRY_AFTER_S = 2
MEDIA_TYPE = "application/problem+json"

_PREFIX = "Value error, expected "  # pydantic's prefix, and the first word of our texts
_LONGEST_ECHO = 100  # characters of a wrong value that an answer repeats


class WrongValue(BaseModel):
    """One value of a request that was refused."""

    where: str = Field(description="The parameter.", examples=["limit"])
    expected: str = Field(examples=["Input should be less than or equal to 1000"])
    got: str = Field(description="The value, shortened.", examples=["5000"])


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str = Field("about:blank", description="Always this; see `title` and `status`.")
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(
        description="What was expected and what came.", examples=["limit: at most 1000, got 5000"]
    )
    hint: str = Field(description="What to do.", examples=["Correct the parameter; /openapi.json lists all."])
    errors: list[WrongValue] = Field(default=[], description="One for each value that was refused.")


class Refusal(Exception):
    """Ends a request with a problem."""

    def __init__(
        self, status: HTTPStatus, detail: str, hint: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.headers = headers


def problem(
    status: HTTPStatus,
    detail: str,
    hint: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[WrongValue] = (),
) -> JSONResponse:
    """The answer to a request that fails."""
    body = Problem(title=status.phrase, status=status, detail=detail, hint=hint, errors=[*errors])
    return JSONResponse(
        body.model_dump(), status, headers=dict(headers) if headers else None, media_type=MEDIA_TYPE
    )


def away(error: NotNow) -> Problem:
    """The problem while Redis is away, or holds keys of another version."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, SchemaMismatch):
        text, _, hint = str(error).partition(": start afresh")
        return Problem(title=status.phrase, status=status, detail=text, hint=f"Start afresh{hint}.")
    return Problem(
        title=status.phrase,
        status=status,
        detail=f"Redis is away: {mask_message(str(error)).removeprefix('Redis: ')}",
        hint="Nothing is lost. Check that Redis runs and that REDIS_URL names it, then ask again.",
    )


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…"


def _refused(_request: Request, error: Exception) -> JSONResponse:
    refusal = cast("Refusal", error)
    return problem(refusal.status, refusal.detail, refusal.hint, refusal.headers)


def _not_now(_request: Request, error: Exception) -> JSONResponse:
    body = away(cast("NotNow", error))
    return JSONResponse(
        body.model_dump(), body.status, headers={"Retry-After": str(RETRY_AFTER_S)}, media_type=MEDIA_TYPE
    )


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    wrong = [
        WrongValue(
            where=".".join(str(part) for part in one["loc"] if part not in ("query", "path")) or "request",
            expected="no such parameter"
            if one["type"] == "extra_forbidden"
            else one["msg"].removeprefix(_PREFIX),
            got=_shortened(one.get("input")),
        )
        for one in cast("RequestValidationError", error).errors()
    ]
    detail = "; ".join(f"{one.where}: {one.expected}, got {one.got!r}" for one in wrong)
    hint = "Correct the parameter; /openapi.json lists all with their ranges."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, hint, errors=wrong)


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    error = cast("HTTPException", error)
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        detail, hint = "There is nothing at this address.", "/openapi.json lists all addresses."
    else:
        detail, hint = str(error.detail), "/openapi.json describes each address."
    return problem(status, detail, hint, error.headers)


def _broken(_request: Request, _error: Exception) -> JSONResponse:
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The API failed because of a bug, not because of the request.",
        "Look into the log of the API.",
    )


def add_error_handlers(app: FastAPI) -> None:
    """Makes `app` answer every error with a problem."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(NotNow, _not_now)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _broken)
