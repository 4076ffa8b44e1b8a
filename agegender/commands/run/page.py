"""The live page beside a run: the API over the store of the run, in a thread of this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import redis

from agegender.commands.run.ports import at_free_port
from agegender.services.api.config import ApiSettings
from agegender.shared.errors import MissingExtra
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics

if TYPE_CHECKING:
    from agegender.services.api.server import ApiServer


def load_page_settings() -> ApiSettings:
    """The settings of the page; raises MissingExtra where it cannot be served, and SettingsError."""
    _server_type()
    settings = ApiSettings.load()
    settings.check_access()
    return settings


@contextlib.contextmanager
def live_page(
    client: redis.Redis, settings: ApiSettings, metrics: Metrics, health: Health
) -> Iterator[ApiServer]:
    """Serves the page for the length of the block; without API_PORT, at the next free port."""
    server_type = _server_type()

    def serve(port: int) -> ApiServer:
        return server_type(client, settings.model_copy(update={"port": port}), metrics, health)

    with at_free_port(serve, settings.port, is_set="port" in settings.model_fields_set) as server:
        yield server


def _server_type() -> type[ApiServer]:
    try:
        from agegender.services.api.server import ApiServer
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "fastapi", "starlette", "uvicorn"):
            raise
        raise MissingExtra(error.name, "api", "The live page") from None
    return ApiServer
