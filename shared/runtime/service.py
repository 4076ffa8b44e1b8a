"""The entry point that all services share: settings, logs, signals, health, exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from agegender.shared.errors import EXIT_BAD_SETTINGS, AgeGenderError, SettingsError
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.secrets import mask_message
from agegender.shared.process.settings import ProcessSettings
from agegender.shared.process.signals import stop_on_signals
from agegender.shared.runtime.runner import StopSignal

log = logging.getLogger(__name__)


class Runnable(Protocol):
    """A runner of any stage."""

    def run(self, stop: StopSignal) -> None:
        """Works until `stop` is set."""


Build = Callable[[Metrics, Health], Runnable]


def process_registry() -> CollectorRegistry:
    """A registry with the memory, CPU time and open files of this process."""
    registry = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def serve(service: str, default_port: int, build: Build) -> int:
    """Runs one service until a signal arrives or it fails; returns the exit status.

    0: stopped by a signal. 1: failed, see the log. 2: the settings are wrong, or do not fit a server.
    """
    stop = stop_on_signals()
    try:
        settings = ProcessSettings.load()
        set_up_logs(settings.log_level or "info", settings.log_format or "json")
        metrics = Metrics(process_registry())
        health = Health(service, metrics)
        runner = build(metrics, health)
        port = default_port if settings.http_port is None else settings.http_port
        server = HealthServer([health], metrics, settings.http_host, port)
    except (AgeGenderError, OSError) as error:
        print(mask_message(f"agegender {service}: {error}"), file=sys.stderr)  # noqa: T201  (logs may not be set up yet)
        return EXIT_BAD_SETTINGS
    with server:
        log.info("starting", extra={"service": service, "http_port": server.port})
        try:
            runner.run(stop)
        except SettingsError as error:
            log.critical("failed", extra={"service": service, "reason": str(error)})
            return EXIT_BAD_SETTINGS
        except Exception as error:
            log.critical("failed", extra={"service": service, "reason": str(error)}, exc_info=True)
            return 1
    log.info("stopped", extra={"service": service})
    return 0
