"""The addresses below /v1: the store as JSON, pictures and events."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import Response, StreamingResponse

from agegender.services.api.answers import (
    CamerasAnswer,
    CountAnswer,
    CountsAnswer,
    NowAnswer,
    VisitAnswer,
    VisitsAnswer,
    camera_answers,
    cameras_with_preview,
    present_answers,
)
from agegender.services.api.config import ApiSettings
from agegender.services.api.events import EventStream, Hub
from agegender.services.api.problems import MEDIA_TYPE, Problem, Refusal
from agegender.services.api.queries import By, CameraQuery, CountsQuery, NoQuery, VisitsQuery
from agegender.shared.messages.pipeline import CameraId, TrackId
from agegender.shared.store import ResultStore, given_out

_DEFAULT_RANGE_S: dict[By, float] = {"minute": 3_600.0, "hour": 86_400.0, "day": 30 * 86_400.0}
# The time that each is kept.
_LONGEST_RANGE_S: dict[By, float] = {"minute": 48 * 3_600.0, "hour": 35 * 86_400.0, "day": 400 * 86_400.0}

CameraPath = Annotated[CameraId, Path(description="The camera.", examples=["door"])]
VisitPath = Annotated[TrackId, Path(description="The visit, unique for the camera.")]


def _problems(**why: str) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for OpenAPI, by `s404="…"`."""
    always = {
        "s401": "The token is missing or wrong.",
        "s403": "API_LEAST_COUNT is above 1, so single visits are not published.",
        "s422": "A parameter is wrong; the answer names it.",
        "s503": "Redis is away. Repeat the request after `Retry-After` seconds.",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        int(name[1:]): {"description": text, "model": Problem, "content": content}
        for name, text in {**always, **why}.items()
    }


def _check_range(since_s: float | None, until_s: float | None) -> None:
    if since_s is not None and until_s is not None and since_s >= until_s:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Expected since before until, got since={since_s:.0f} and until={until_s:.0f}.",
            "Exchange them, or leave one out.",
        )


def _check_length(since_s: float, until_s: float, by: By) -> None:
    length_s = until_s - since_s
    if length_s > _LONGEST_RANGE_S[by]:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Expected at most {_LONGEST_RANGE_S[by] / 3600:g} h by {by}, got {length_s / 3600:g} h.",
            "Request a shorter time, or a longer period: minute, hour, day.",
        )


@contextlib.contextmanager
def _value_errors_refused() -> Iterator[None]:
    """Inside the block, a ValueError of the store becomes a Refusal."""
    try:
        yield
    except ValueError as error:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            str(error),
            "Correct the parameters; /openapi.json describes them.",
        ) from None


def store_routes(
    store: ResultStore, hub: Hub, clock: Callable[[], float], settings: ApiSettings
) -> APIRouter:
    """The routes for one store. All but the events run in threads, because they wait for Redis."""
    router = APIRouter(prefix="/v1", responses=_problems())

    def check_single_visits() -> None:
        if not settings.gives_single_visits:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"Single visits are not published, because API_LEAST_COUNT is {settings.least_count}.",
                f"Request /v1/counts?by={settings.counts_by}.",
            )

    def check_period(by: By) -> None:
        if not settings.gives_single_visits and by != settings.counts_by:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"Expected by={settings.counts_by}, got by={by}: API_LEAST_COUNT is {settings.least_count}, "
                "and one period could be subtracted from another.",
                f"Request /v1/counts?by={settings.counts_by}, or set API_COUNTS_BY to another period.",
            )

    single_visits = [Depends(check_single_visits)]

    @router.get("/cameras", summary="All cameras and their state")
    def cameras(_query: Annotated[NoQuery, Query()]) -> CamerasAnswer:
        now_s = clock()
        found = camera_answers(store, now_s, cameras_with_preview(store))
        if not settings.gives_single_visits:
            found = [one.model_copy(update={"present": None}) for one in found]
        return CamerasAnswer(at_s=now_s, cameras=found)

    @router.get("/now", summary="The people present now", dependencies=single_visits)
    def now(query: Annotated[CameraQuery, Query()]) -> NowAnswer:
        return NowAnswer(at_s=clock(), visits=present_answers(store, query.camera_ids))

    @router.get(
        "/visits",
        summary="Visits by the time of the first sight, the latest first",
        dependencies=single_visits,
    )
    def visits(query: Annotated[VisitsQuery, Query()]) -> VisitsAnswer:
        _check_range(query.since, query.until)
        with _value_errors_refused():
            page = store.visits(
                camera_ids=query.camera_ids,
                since_s=query.since,
                until_s=query.until,
                age_bands=query.age_band or None,
                genders=query.gender or None,
                limit=query.limit,
                before=query.cursor,
            )
        return VisitsAnswer.of(page)

    @router.get(
        "/visits/{camera_id}/{track_id}",
        summary="One visit",
        dependencies=single_visits,
        responses=_problems(s404="The visit is unknown or has expired."),
    )
    def visit(camera_id: CameraPath, track_id: VisitPath) -> VisitAnswer:
        found = store.visit(camera_id, track_id)
        if found is None:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"Camera {camera_id!r} has no visit {track_id!r}, or it has expired.",
                "/v1/visits lists all visits.",
            )
        return VisitAnswer.of(found)

    @router.get("/counts", summary="How many visits began, by time, camera, age and gender")
    def counts(query: Annotated[CountsQuery, Query()]) -> CountsAnswer:
        check_period(query.by)
        now_s = clock()
        until_s = now_s if query.until is None else query.until
        since_s = max(0.0, until_s - _DEFAULT_RANGE_S[query.by]) if query.since is None else query.since
        _check_range(since_s, until_s)
        _check_length(since_s, until_s, query.by)
        with _value_errors_refused():
            found = store.counts(since_s=since_s, until_s=until_s, by=query.by, camera_ids=query.camera_ids)
        cells = [CountAnswer.of(one) for one in given_out(found, settings.least_count, query.by, now_s)]
        return CountsAnswer(by=query.by, since_s=since_s, until_s=until_s, counts=cells)

    @router.get(
        "/cameras/{camera_id}/preview.jpg",
        summary="A small picture of the scene now",
        dependencies=single_visits,
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}, "description": "A JPEG of the last ten seconds."},
            **_problems(s404="Previews are off, or the camera is silent."),
        },
    )
    def preview(camera_id: CameraPath) -> Response:
        jpeg = store.preview(camera_id)
        if jpeg is None:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"There is no preview of camera {camera_id!r}. Previews are off by default. A camera that is "
                "unknown or was silent for ten seconds has none either.",
                "Set DETECT_PREVIEW=blurred (faces anonymized) or =clear for detect.",
            )
        return Response(jpeg, media_type="image/jpeg")

    @router.get(
        "/events",
        summary="Each closed visit at once, and the state every second",
        description=_ABOUT_EVENTS,
        dependencies=single_visits,
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Server-sent events without an end."},
            **_problems(s503="API_EVENT_CLIENTS clients are connected already."),
        },
    )
    async def events(
        query: Annotated[CameraQuery, Query()],
        last_event_id: Annotated[
            str | None, Header(max_length=100, description="`id` of the last event that arrived.")
        ] = None,
    ) -> EventStream:
        wanted = frozenset(query.camera) or None
        return EventStream(hub.subscribe(wanted, last_event_id))

    return router


_ABOUT_EVENTS = """\
- `visit`: a visit is closed; the data is that of `/v1/visits/{camera_id}/{track_id}`. It has an `id`.
- `state`: at once and every second; `at_s`, `cameras` as in `/v1/cameras`, `visits` as in `/v1/now`.
- `problem`: Redis is away; the data has the reason. The next `state` means that Redis is back.

A client that reconnects with `Last-Event-ID` gets the visits closed in the meantime, up to the last 1,000 of
this process. After a restart of the API, read them from `/v1/visits`.
"""
