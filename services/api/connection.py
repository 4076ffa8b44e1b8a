"""One connection of a client, who may take a place only for as long as it asks and listens."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ASK_WITHIN_S = 10.0
"""How long a client may take for the head of a request."""
TAKE_WITHIN_S = 30.0
"""How long a client may leave what it is sent."""


class Connection(H11Protocol):
    """As the server's, but not patient for ever.

    The server waits for the end of a head, and for a client to read, without a limit: a few hundred clients
    who do neither would take all places. And a body that is no HTTP makes it log an error of its own.
    """

    _asking: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Something was said."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next question may come."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """What was said is no HTTP: no other answer is made any more."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client is behind."""
        super().pause_writing()
        self._stuck = self.loop.call_later(TAKE_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        _cancel(self._stuck)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        _cancel(self._asking)
        _cancel(self._stuck)
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The time runs while a head is awaited, whatever comes of it meanwhile."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            _cancel(self._asking)
            self._asking = None
        elif self._asking is None:
            self._asking = self.loop.call_later(ASK_WITHIN_S, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
