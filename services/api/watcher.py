"""One thread that reads news from Redis, for all clients of the events together."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping

from agegender.services.api.answers import (
    StateAnswer,
    VisitAnswer,
    camera_answers,
    cameras_with_preview,
    present_answers,
)
from agegender.services.api.events import Hub
from agegender.services.api.problems import away
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.health import Health
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.store import ResultStore

log = logging.getLogger(__name__)

_STATE_EVERY_S = 1.0
_LOOK_FOR_S = 0.25  # at most this much delays the end of the service
_PREVIEWS_EVERY_S = 5.0


class StoreWatcher:
    """Gives the hub each closed visit at once, and the state every second, until it is stopped.

    It sets the health of the service: ready while Redis answers.
    """

    def __init__(self, store: ResultStore, hub: Hub, health: Health, clock: Callable[[], float]) -> None:
        self._store = store
        self._hub = hub
        self._health = health
        self._clock = clock
        self._stop = threading.Event()
        self._cursor: Mapping[str, str] | None = None
        self._previews: frozenset[str] = frozenset()
        self._previews_at_s = float("-inf")
        self.error: Exception | None = None
        """Why it ended by itself: a bug, or a setting. The log has the reason."""

    def start(self, loop: asyncio.AbstractEventLoop) -> threading.Thread:
        """Starts the thread, which calls the hub in `loop`."""
        thread = threading.Thread(target=self._run, args=(loop,), name="api-watcher", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Ends the thread, within about a second while Redis answers."""
        self._stop.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        backoff = Backoff()
        try:
            while not self._stop.is_set():
                self._health.beat()
                try:
                    self._look(loop)
                    backoff.reset()
                except NotNow as error:
                    self._report_away(loop, error)
                    self._stop.wait(backoff.next_s())
        except SettingsError as error:
            log.critical("failed", extra={"service": "api", "reason": str(error)})
            self.error = error
        except Exception as error:
            log.critical("failed", extra={"service": "api"}, exc_info=True)
            self.error = error

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self._hub.state, self._state())
        until_s = time.monotonic() + _STATE_EVERY_S
        if self._cursor is None:
            _, self._cursor = self._store.closed(None)
        if self._health.waiting_for is not None:
            log.info("Redis answers", extra={"service": "api"})
            self._health.ready()
        while (left_s := until_s - time.monotonic()) > 0 and not self._stop.is_set():
            visits, self._cursor = self._store.closed(self._cursor, wait_s=min(left_s, _LOOK_FOR_S))
            for visit in visits:
                loop.call_soon_threadsafe(self._hub.visit, VisitAnswer.of(visit))

    def _state(self) -> StateAnswer:
        now_s = self._clock()
        if time.monotonic() - self._previews_at_s > _PREVIEWS_EVERY_S:
            self._previews = cameras_with_preview(self._store)
            self._previews_at_s = time.monotonic()
        return StateAnswer(
            at_s=now_s,
            cameras=camera_answers(self._store, now_s, self._previews),
            visits=present_answers(self._store),
        )

    def _report_away(self, loop: asyncio.AbstractEventLoop, error: NotNow) -> None:
        if self._health.waiting_for is None or self._health.waiting_for == "starting":
            log.warning("waiting for Redis", extra={"service": "api", "reason": str(error)})
        self._health.not_ready(str(error))
        loop.call_soon_threadsafe(self._hub.problem, away(error))
