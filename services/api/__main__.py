"""`python -m services.api`: Redis → HTTP and the live page."""

from __future__ import annotations

import logging
import sys

from agegender.services.api.config import ApiSettings
from agegender.services.api.server import ApiServer
from agegender.shared.errors import EXIT_BAD_SETTINGS, AgeGenderError
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.secrets import mask_message
from agegender.shared.process.settings import ProcessSettings, RedisSettings
from agegender.shared.process.signals import stop_on_signals
from agegender.shared.runtime.service import process_registry
from agegender.shared.store import connect

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5


def main() -> int:
    """Serves until a signal comes. Returns the exit status, like `serve` in `shared/runtime/service.py`."""
    stop = stop_on_signals()
    try:
        process = ProcessSettings.load()
        set_up_logs(process.log_level or "info", process.log_format or "json")
        metrics = Metrics(process_registry())
        redis = RedisSettings.load()
        register_certificate_gauges(metrics, redis)
        client = connect(redis)
        server = ApiServer(client, ApiSettings.load(), metrics, Health("api", metrics))
    except (AgeGenderError, OSError) as error:
        print(mask_message(f"agegender api: {error}"), file=sys.stderr)  # noqa: T201  (logs may not be set up yet)
        return EXIT_BAD_SETTINGS
    with server:
        log.info("starting", extra={"service": "api", "http_port": server.port})
        while not stop.wait(_LOOK_EVERY_S):
            if not server.running:
                return EXIT_BAD_SETTINGS if server.has_bad_settings else 1
    log.info("stopped", extra={"service": "api"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
