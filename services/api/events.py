"""Server-sent events: one thread reads Redis, and every client gets what it found."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType

from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from agegender.services.api.answers import StateAnswer, VisitAnswer
from agegender.services.api.problems import Problem, Refusal
from agegender.shared.process.metrics import Metrics

_REMEMBERED = 1_000  # closed visits that are sent again to a client that reconnects
_WAITING = 300  # events that a slow client may fall behind
_SAY_SOMETHING_S = 15.0  # proxies close idle connections
_TAKE_WITHIN_S = 30.0  # a client that reads nothing for this long is gone
_COME_BACK_MS = 2_000


@dataclass(frozen=True)
class Event:
    """One event as it is sent, and its camera; None: of all cameras."""

    text: str
    camera_id: str | None = None


def format_event(kind: str, data: str, event_id: str | None = None) -> str:
    """An event in the format of the HTML standard; `data` is JSON without line breaks."""
    named = f"id: {event_id}\n" if event_id else ""
    return f"{named}event: {kind}\ndata: {data}\n\n"


class Subscription:
    """One client of the events. Use it as a context manager."""

    def __init__(self, hub: Hub, camera_ids: frozenset[str] | None) -> None:
        self._hub = hub
        self._camera_ids = camera_ids
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = False

    def offer(self, event: Event) -> None:
        """Queues an event. A client that is too far behind is disconnected, and may reconnect."""
        if event.camera_id is None or self._camera_ids is None or event.camera_id in self._camera_ids:
            self._put(event.text)

    def offer_state(self, state: StateAnswer, text: str) -> None:
        """Queues the state of the requested cameras; `text` is the state of all."""
        if self._camera_ids is not None:
            text = format_event("state", state.of_cameras(self._camera_ids).model_dump_json())
        self._put(text)

    def end(self) -> None:
        """Disconnects the client after the events in the queue."""
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    def _put(self, text: str) -> None:
        if self._ended:
            return
        if self._queue.qsize() >= _WAITING:
            self.end()
            self._hub.leave(self)
        else:
            self._queue.put_nowait(text)

    async def texts(self) -> AsyncIterator[str]:
        """The text to send, until the client is disconnected."""
        yield f"retry: {_COME_BACK_MS}\n\n"
        while True:
            try:
                text = await asyncio.wait_for(self._queue.get(), _SAY_SOMETHING_S)
            except TimeoutError:
                text = ": still here\n\n"
            if text is None:
                return
            yield text

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.leave(self)


class Hub:
    """Passes events to all clients. Call it only inside the event loop."""

    def __init__(self, most_clients: int, metrics: Metrics) -> None:
        self._most_clients = most_clients
        self._gauge = metrics.event_clients
        self._clients: set[Subscription] = set()
        self._run_id = secrets.token_hex(4)
        self._number = 0
        self._remembered: deque[tuple[int, Event]] = deque(maxlen=_REMEMBERED)
        self._state: tuple[StateAnswer, str] | None = None
        self._problem: Problem | None = None
        self._closed = False

    def subscribe(self, camera_ids: frozenset[str] | None, last_event_id: str | None) -> Subscription:
        """A new client, which gets the state at once, and the visits missed since `last_event_id`.

        Raises:
            Refusal: the limit of clients is reached.
        """
        if self._closed or len(self._clients) >= self._most_clients:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"Expected at most {self._most_clients} clients of events; that many are connected already.",
                "Try again later, or raise API_EVENT_CLIENTS.",
                {"Retry-After": "10"},
            )
        client = Subscription(self, camera_ids)
        self._clients.add(client)
        self._gauge.set(len(self._clients))
        if self._state is not None:
            client.offer_state(*self._state)
        if self._problem is not None:
            client.offer(Event(format_event("problem", self._problem.model_dump_json())))
        for event in self._missed_since(last_event_id):
            client.offer(event)
        return client

    def leave(self, client: Subscription) -> None:
        """Removes a client."""
        self._clients.discard(client)
        self._gauge.set(len(self._clients))

    def visit(self, visit: VisitAnswer) -> None:
        """Sends a closed visit."""
        self._number += 1
        event_id = f"{self._run_id}-{self._number}"
        event = Event(format_event("visit", visit.model_dump_json(), event_id), visit.camera_id)
        self._remembered.append((self._number, event))
        for client in [*self._clients]:
            client.offer(event)

    def state(self, state: StateAnswer) -> None:
        """Sends the present state."""
        # Formatted once for all clients of all cameras.
        self._state, self._problem = (state, format_event("state", state.model_dump_json())), None
        for client in [*self._clients]:
            client.offer_state(*self._state)

    def problem(self, problem: Problem) -> None:
        """Sends the reason why the store cannot be read."""
        self._problem = problem
        for client in [*self._clients]:
            client.offer(Event(format_event("problem", problem.model_dump_json())))

    def close(self) -> None:
        """Disconnects all clients."""
        self._closed = True
        for client in [*self._clients]:
            client.end()

    def _missed_since(self, last_event_id: str | None) -> list[Event]:
        run_id, _, number = (last_event_id or "").partition("-")
        if run_id != self._run_id or not number.isascii() or not number.isdigit() or len(number) > 15:
            return []
        return [event for one, event in self._remembered if one > int(number)]


class EventStream(StreamingResponse):
    """The answer to one client. Removes the client from the hub in every case."""

    media_type = "text/event-stream"

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(
            subscription.texts(),
            # nginx would buffer events.
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the client disconnects or stops reading, or the service ends."""

        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(_TAKE_WITHIN_S):
                await send(message)

        with self._subscription:
            await super().__call__(scope, receive, send_soon)
