"""Where the live page of a run is served, and what is said when it cannot be."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator

import pytest
import redis
from prometheus_client import CollectorRegistry
from rich.console import Console
from typer.testing import CliRunner

import agegender.commands.demo.demo
from agegender.cli import app
from agegender.commands.run.page import live_page, load_page_settings
from agegender.commands.run.ports import at_free_port
from agegender.services.api.config import ApiSettings
from agegender.services.api.server import ApiServer
from agegender.shared.errors import MissingExtra, PortTaken, SettingsError
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import ProcessSettings

_NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which an API is served."""
    metrics = Metrics(CollectorRegistry())
    with (
        redis.Redis.from_url(_NOBODY) as client,
        ApiServer(client, ApiSettings(port=0), metrics, Health("api", metrics)) as server,
    ):
        yield server.port


def _port_of_page(settings: ApiSettings) -> int:
    metrics = Metrics(CollectorRegistry())
    with (
        redis.Redis.from_url(_NOBODY) as client,
        live_page(client, settings, metrics, Health("api", metrics)) as server,
    ):
        assert server.url == f"http://127.0.0.1:{server.port}/"
        return server.port


def test_the_page_is_at_the_port_that_was_set() -> None:
    assert _port_of_page(ApiSettings(port=0)) > 0


def test_a_port_that_was_set_and_is_taken_is_an_error(taken_port: int) -> None:
    with pytest.raises(PortTaken, match="API_PORT"):
        _port_of_page(ApiSettings(port=taken_port))


def test_where_the_usual_port_is_taken_the_next_one_is_used(taken_port: int) -> None:
    settings = ApiSettings.model_construct(_fields_set=set(), port=taken_port)
    assert taken_port < _port_of_page(settings) < taken_port + 50


def test_only_a_taken_port_is_passed_over() -> None:
    tried: list[int] = []

    def serve(port: int) -> int:
        tried.append(port)
        if port < 9102:
            raise PortTaken("taken")
        return port

    assert at_free_port(serve, 9100, is_set=False) == 9102
    with pytest.raises(PortTaken):
        at_free_port(serve, 9100, is_set=True)
    assert tried == [9100, 9101, 9102, 9100]

    def refuse(port: int) -> int:
        raise SettingsError(f"no such address, port {port}")

    with pytest.raises(SettingsError, match="port 9100"):
        at_free_port(refuse, 9100, is_set=False)


@pytest.fixture
def without_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment where the extra `api` was not installed."""
    for name in [*sys.modules]:
        if name.startswith("agegender.services.api.") and name != "agegender.services.api.config":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)


@pytest.mark.usefixtures("without_fastapi")
def test_without_its_packages_the_page_says_what_to_install() -> None:
    with pytest.raises(MissingExtra, match=r"agegender\[api\]"):
        load_page_settings()
    done = CliRunner().invoke(app, ["run", "--page", "a.mp4"])
    assert isinstance(done.exception, MissingExtra)


@pytest.mark.usefixtures("without_fastapi")
def test_without_its_packages_the_demo_goes_on_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_here() -> None:
        raise InterruptedError

    monkeypatch.setattr(agegender.commands.demo.demo, "demo_scene", stop_here)
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(InterruptedError):
        agegender.commands.demo.demo.run_demo(console, 1, ProcessSettings(), threading.Event(), page=True)
    assert isinstance(console.file, io.StringIO)
    assert "agegender[api]" in console.file.getvalue()
