"""The live page beside a run: the API over the store of the run, in a thread of this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import redis

from agegender.services.api.config import ApiSettings
from agegender.shared.errors import MissingExtra, SettingsError
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
    client: redis.Redis, settings: ApiSettings, metrics: Metrics, health: Health, *, any_port: bool
) -> Iterator[str]:
    """Serves the page for the length of the block and gives its address.

    Args:
        any_port: where API_PORT was not set and the usual one is taken, another is used.
    """
    server_type = _server_type()
    try:
        server = server_type(client, settings, metrics, health)
    except SettingsError:
        if not any_port or "port" in settings.model_fields_set:
            raise
        server = server_type(client, settings.model_copy(update={"port": 0}), metrics, health)
    with server:
        yield server.url


def _server_type() -> type[ApiServer]:
    try:
        from agegender.services.api.server import ApiServer
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "fastapi", "starlette", "uvicorn"):
            raise
        raise MissingExtra(error.name, "api", "The live page") from None
    return ApiServer
