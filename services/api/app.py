"""The application: routes, page, health and metrics behind one guard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib.resources import files

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware

from agegender.services.api.answers import HealthAnswer
from agegender.services.api.config import ApiSettings
from agegender.services.api.events import Hub
from agegender.services.api.guard import Guard, RequestMetrics
from agegender.services.api.problems import Refusal, add_error_handlers
from agegender.services.api.watcher import StoreWatcher
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics

_PAGE_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER_S = 24 * 3600

_TITLE = "Age and gender of the people at your cameras"
_DESCRIPTION = """\
Reads the results of the pipeline and changes nothing. Times are seconds since 1970-01-01 UTC. A *visit* is
one stay of one person before one camera. A return is another visit, because faces are never recognised.
Errors are JSON (RFC 9457) with what was expected, what came and what to do. If API_TOKEN is set, send
`Authorization: Bearer TOKEN`.
"""


def create_app(
    routes: APIRouter,
    settings: ApiSettings,
    metrics: Metrics,
    health: Health,
    hub: Hub,
    watcher: StoreWatcher,
) -> FastAPI:
    """The application with `routes`. It starts `watcher` and closes `hub` at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        thread = watcher.start(asyncio.get_running_loop())
        yield
        hub.close()
        watcher.stop()
        await asyncio.to_thread(thread.join)

    app = FastAPI(
        title=_TITLE,
        version="1",
        description=_DESCRIPTION,
        # These pages of FastAPI load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # Our metrics are at /metrics. No other system may learn what clients request.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    add_error_handlers(app)
    app.include_router(routes)
    _add_health(app, health, metrics)
    _add_page(app)
    app.add_middleware(Guard, settings=settings)
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allow_origins.split(),
            allow_methods=["GET"],
            allow_headers=["Authorization", "Last-Event-ID"],
            max_age=_FOREVER_S,
        )
    app.add_middleware(RequestMetrics, metrics=metrics)
    return app


def _add_health(app: FastAPI, health: Health, metrics: Metrics) -> None:
    @app.get(
        "/live",
        summary="Whether the process works",
        response_model=HealthAnswer,
    )
    async def live() -> JSONResponse:
        return _health_answer({} if health.is_live else {health.service: "its loop is hung"})

    @app.get("/ready", summary="Whether Redis answers", response_model=HealthAnswer)
    async def ready() -> JSONResponse:
        why = health.waiting_for
        return _health_answer({} if why is None else {health.service: why})

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    def all_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _health_answer(problems: dict[str, str]) -> JSONResponse:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return JSONResponse(HealthAnswer(ok=not problems, problems=problems).model_dump(), status)


def _add_page(app: FastAPI) -> None:
    # Listed once, so that a name from a request never becomes a path.
    page = {
        one.name: (one.read_bytes(), _PAGE_TYPES[one.name.rsplit(".", 1)[1]])
        for one in files("agegender.services.api").joinpath("page").iterdir()
        if one.name.rsplit(".", 1)[-1] in _PAGE_TYPES
    }

    def answer(name: str) -> Response:
        if name not in page:
            raise Refusal(
                HTTPStatus.NOT_FOUND, f"The page has no part {name[:100]!r}.", "The page itself is at /."
            )
        content, media_type = page[name]
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return answer("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return answer(name)
