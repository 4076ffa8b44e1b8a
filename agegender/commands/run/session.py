"""One run of the pipeline in this process: a store, a live table, a summary."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from agegender.commands.run.page import live_page
from agegender.commands.run.pipeline import Pipeline, PipelineSettings
from agegender.commands.run.ports import at_free_port
from agegender.commands.run.view import LiveView, RunResults, Summary
from agegender.commands.stores import store_for_writing
from agegender.services.api.config import ApiSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.cameras.camera import Camera, cameras_from_sources, load_cameras
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import ProcessSettings, RedisSettings
from agegender.shared.runtime.service import process_registry
from agegender.shared.store import ResultStore, StoredResult, connect

_DRAW_EVERY_S = 0.5
_SAY_EVERY_S = 5.0
_DELAYS_FROM_RESULTS = 500


Watch = Callable[[threading.Event], None]
"""Shows the run until the event is set."""

Watcher = Callable[[Console, LiveView, Metrics], Watch]


def watcher(console: Console, view: LiveView, metrics: Metrics) -> Watch:
    """On a terminal a table is drawn over and over; elsewhere one line comes every few seconds."""

    def draw(done: threading.Event) -> None:
        with Live(view.draw(), console=console, auto_refresh=False) as live:
            while not done.wait(_DRAW_EVERY_S):
                live.update(view.draw(), refresh=True)

    def say(done: threading.Event) -> None:
        while not done.wait(_SAY_EVERY_S):
            captured = metrics.total("agegender_frames_captured_total")
            results = metrics.total("agegender_results_written_total")
            console.print(f"{captured:.0f} frames captured, {results:.0f} faces classified", highlight=False)

    return draw if console.is_terminal else say


def chosen_cameras(sources: Sequence[str], file: Path | None) -> Sequence[Camera]:
    """The cameras of a run: from its sources, from a YAML file, or else from the settings of ingest.

    Raises:
        SettingsError: both are given, or a camera is malformed.
    """
    if sources and file:
        raise SettingsError("give either sources or --cameras FILE, not both")
    if file:
        return load_cameras(file)
    return cameras_from_sources(sources) if sources else IngestSettings.load().camera_list()


def run_session(
    cameras: Sequence[Camera],
    console: Console,
    *,
    stop: threading.Event,
    seconds: float | None = None,
    process: ProcessSettings,
    http_port: int,
    page: ApiSettings | None = None,
    show: Watcher = watcher,
) -> Summary:
    """Runs the pipeline until `stop` is set, `seconds` are over or all files are read; shows it meanwhile.

    Args:
        http_port: of metrics and health, where AGEGENDER_HTTP_PORT is not set; if taken, the next free one.
        page: how the live page is served; None: not at all.
    """
    settings, redis = PipelineSettings.load(), RedisSettings.load()
    metrics = Metrics(process_registry())
    register_certificate_gauges(metrics, redis)
    with store_for_writing(redis, process) as redis:
        output = RedisStore(connect(redis), settings.sink, metrics)
        began_s = time.time()
        pipeline = Pipeline(cameras, settings, output, metrics)
        page_health = [] if page is None else [Health("api", metrics)]
        with (
            _health_server([*pipeline.healths, *page_health], metrics, process, http_port) as server,
            connect(redis) as client,
            contextlib.ExitStack() as stack,
        ):
            if page is not None:
                shown = stack.enter_context(live_page(client, page, metrics, page_health[0]))
                moved = _moved(page.port, shown.port)
                console.print(f"Live page: {shown.url}{moved}", highlight=False)
            moved = _moved(http_port if process.http_port is None else process.http_port, server.port)
            metrics_url = f"http://{process.http_host}:{server.port}/metrics"
            console.print(f"Metrics: {metrics_url}{moved}", highlight=False)
            store = RunResults(ResultStore(client), began_s)
            view = LiveView(cameras, pipeline, metrics, store)
            started_s = time.monotonic()
            _run_and_watch(pipeline, stop, seconds, show(console, view, metrics))
            stored: list[StoredResult] = []
            with contextlib.suppress(NotNow):  # the summary is due also when the store is away
                for camera in cameras:
                    stored += store.newest(camera.id, _DELAYS_FROM_RESULTS)
            seconds_taken = time.monotonic() - started_s
            return Summary.of(metrics, pipeline.cameras.failures, stored, seconds_taken)


def _health_server(
    healths: Sequence[Health], metrics: Metrics, process: ProcessSettings, usual_port: int
) -> HealthServer:
    return at_free_port(
        lambda port: HealthServer(healths, metrics, process.http_host, port),
        usual_port if process.http_port is None else process.http_port,
        is_set=process.http_port is not None,
    )


def _moved(wanted: int, found: int) -> str:
    """Told beside an address that is not at its usual port; 0 stands for any port."""
    return "" if wanted in (0, found) else f" (port {wanted} is taken)"


def _run_and_watch(pipeline: Pipeline, stop: threading.Event, seconds: float | None, watch: Watch) -> None:
    done = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        try:
            pipeline.run(stop)
        except Exception as error:  # noqa: BLE001  (raised again below)
            errors.append(error)
        finally:
            done.set()

    worker = threading.Thread(target=work, name="pipeline")
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    worker.start()
    if timer is not None:
        timer.start()
    try:
        watch(done)
    finally:
        stop.set()
        if timer is not None:
            timer.cancel()
        worker.join()
    if errors:
        raise errors[0]
