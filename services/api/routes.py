"""The addresses under /v1: what is in the store, as JSON, pictures and events."""

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
)
from agegender.services.api.config import ApiSettings
from agegender.services.api.events import EventStream, Hub
from agegender.services.api.problems import MEDIA_TYPE, Problem, Refusal
from agegender.services.api.queries import By, CameraQuery, CountsQuery, NoQuery, VisitsQuery
from agegender.services.api.reading import cameras_now, previews_of, visits_now
from agegender.shared.messages.pipeline import CameraId, TrackId
from agegender.shared.store import ResultStore, given_out

_DEFAULT_RANGE_S: dict[By, float] = {"minute": 3_600.0, "hour": 86_400.0, "day": 30 * 86_400.0}
# As long as each is kept.
_LONGEST_RANGE_S: dict[By, float] = {"minute": 48 * 3_600.0, "hour": 35 * 86_400.0, "day": 400 * 86_400.0}

CameraPath = Annotated[CameraId, Path(description="The camera.", examples=["door"])]
VisitPath = Annotated[TrackId, Path(description="The person, unique for the camera.")]


def _problems(**why: str) -> dict[int | str, dict[str, Any]]:
    """The errors of a route as OpenAPI describes them, by `s404="…"`."""
    always = {
        "s401": "The token is missing or another.",
        "s403": "API_LEAST_COUNT is above 1, so that nothing is said of single people.",
        "s422": "A parameter is wrong; the answer names it.",
        "s503": "Redis is away. `Retry-After` says when to ask again.",
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
            "Ask for a shorter time, or by a longer step: minute, hour, day.",
        )


@contextlib.contextmanager
def _mistakes_told() -> Iterator[None]:
    """Inside the block, what the store refuses is an answer to who asked."""
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
    """The routes over one store. All but the events run in threads, because Redis may keep them waiting."""
    router = APIRouter(prefix="/v1", responses=_problems())

    def check_single_visits() -> None:
        if not settings.gives_single_visits:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"Nothing is said of single people here: API_LEAST_COUNT is {settings.least_count}.",
                f"/v1/counts?by={settings.counts_by} gives how many came.",
            )

    def check_step(by: By) -> None:
        if not settings.gives_single_visits and by != settings.counts_by:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"Expected by={settings.counts_by}, got by={by}: API_LEAST_COUNT is {settings.least_count}, "
                "and one step could be subtracted from another.",
                f"Ask for /v1/counts?by={settings.counts_by}, or set API_COUNTS_BY to another step.",
            )

    single_visits = [Depends(check_single_visits)]

    @router.get("/cameras", summary="All cameras and how they go")
    def cameras(_query: Annotated[NoQuery, Query()]) -> CamerasAnswer:
        now_s = clock()
        found = cameras_now(store, now_s, previews_of(store))
        if not settings.gives_single_visits:
            found = [one.model_copy(update={"present": None}) for one in found]
        return CamerasAnswer(at_s=now_s, cameras=found)

    @router.get("/now", summary="Who is there now", dependencies=single_visits)
    def now(query: Annotated[CameraQuery, Query()]) -> NowAnswer:
        return NowAnswer(at_s=clock(), visits=visits_now(store, query.camera_ids))

    @router.get(
        "/visits",
        summary="Persons by the time they were first seen, the latest first",
        dependencies=single_visits,
    )
    def visits(query: Annotated[VisitsQuery, Query()]) -> VisitsAnswer:
        _check_range(query.since, query.until)
        with _mistakes_told():
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
        summary="One person",
        dependencies=single_visits,
        responses=_problems(s404="The person is unknown, or kept no longer."),
    )
    def visit(camera_id: CameraPath, track_id: VisitPath) -> VisitAnswer:
        found = store.visit(camera_id, track_id)
        if found is None:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"Camera {camera_id!r} has no person {track_id!r}, or the record has expired.",
                "/v1/visits lists those that there are.",
            )
        return VisitAnswer.of(found)

    @router.get("/counts", summary="How many visits began, by time, camera, age and gender")
    def counts(query: Annotated[CountsQuery, Query()]) -> CountsAnswer:
        check_step(query.by)
        now_s = clock()
        until_s = now_s if query.until is None else query.until
        since_s = max(0.0, until_s - _DEFAULT_RANGE_S[query.by]) if query.since is None else query.since
        _check_range(since_s, until_s)
        _check_length(since_s, until_s, query.by)
        with _mistakes_told():
            found = store.counts(since_s=since_s, until_s=until_s, by=query.by, camera_ids=query.camera_ids)
        cells = [CountAnswer.of(one) for one in given_out(found, settings.least_count, query.by, now_s)]
        return CountsAnswer(by=query.by, since_s=since_s, until_s=until_s, counts=cells)

    @router.get(
        "/cameras/{camera_id}/preview.jpg",
        summary="A small picture of what the camera sees now",
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
                f"There is no preview of camera {camera_id!r}: previews are off unless detect is told "
                "otherwise, or the camera was silent for ten seconds, or there is no such camera.",
                "Set DETECT_PREVIEW=blurred (faces covered) or =clear where detect runs.",
            )
        return Response(jpeg, media_type="image/jpeg")

    @router.get(
        "/events",
        summary="Closed persons as they come, and every second how things are",
        description=_ABOUT_EVENTS,
        dependencies=single_visits,
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Server-sent events without an end."},
            **_problems(s503="As many readers as API_EVENT_CLIENTS allows are there already."),
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
- `person`: a visit is over; the data is as of `/v1/visits/{camera_id}/{track_id}`. It has an `id`.
- `state`: at once and every second; `at_s`, `cameras` as of `/v1/cameras`, `persons` as of `/v1/now`.
- `problem`: Redis is away; the data says why. The next `state` says that it is back.

Who comes back with `Last-Event-ID` gets the persons closed meanwhile, up to the last 1,000 of this process;
after a restart of the API they are to be read from `/v1/visits`.
"""
