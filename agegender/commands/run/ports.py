"""The port of a server of a run: the usual one, or the next that is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agegender.shared.errors import PortTaken

T = TypeVar("T")

_TRIES = 50


def at_free_port(serve: Callable[[int], T], port: int, *, is_set: bool) -> T:
    """What `serve` makes at `port`, or at the next free port after it.

    Args:
        serve: starts a server at a port; raises PortTaken where another program listens there.
        is_set: the user asked for this port. No other one is tried then.

    Raises:
        PortTaken: the port that was set is taken, or 50 ports in a row are.
    """
    for candidate in range(port, port + (1 if is_set else _TRIES)):
        try:
            return serve(candidate)
        except PortTaken as error:
            taken = error
    raise taken
