"""One worker as a queue: what has come waits, is taken in batches, and is done. An event for each batch.

The worker is the loop of `shared/runtime/runner.py`. It takes the messages that are there, up to a number.
With a time to wait, it waits that long after the first message. Then it processes, writes and commits, and
looks again.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
"""Seconds, one for each message."""


@dataclass(frozen=True)
class Server:
    """What a worker does with a batch, and for how long.

    Attributes:
        limit: the most messages that it takes at once.
        wait_s: how long the first message of a batch waits for others.
        message_s: for each message; `side_by_side` of them take no longer than one.
        batch_s: for each batch besides.
        device_s: of a device that takes up to `device_limit` messages together.
    """

    limit: int
    message_s: float
    batch_s: float = 0.0
    wait_s: float = 0.0
    side_by_side: int = 1
    device_s: float = 0.0
    device_limit: int = 1

    def time_s(self, messages: int) -> float:
        """How long a batch of so many takes."""
        rounds = -(-messages // self.side_by_side)
        calls = -(-messages // self.device_limit)
        return self.batch_s + rounds * self.message_s + calls * self.device_s

    @property
    def capacity(self) -> float:
        """Messages a second that it can do at most, in full batches."""
        return self.limit / self.time_s(self.limit)


def serve(
    come_s: Times,
    server: Server,
    *,
    until_s: float = math.inf,
    factors: Sequence[float] | None = None,
) -> Times:
    """When each message is done; infinite for those that are not when the worker ends.

    Args:
        come_s: when each message comes, in order.
        until_s: when the worker dies, with the messages that it has in hand.
        factors: how many times as long as usual each message takes; None: all the same.
    """
    done_s = np.full(len(come_s), math.inf)
    come = come_s.tolist()
    first, free_s = 0, -math.inf
    while first < len(come):
        begin_s = max(free_s, come[first])
        last = bisect_right(come, begin_s + server.wait_s, first, min(first + server.limit, len(come)))
        if server.wait_s and last - first < server.limit:
            begin_s += server.wait_s
        elif server.wait_s:
            begin_s = max(begin_s, come[last - 1])
        number = last - first
        times = 1.0 if factors is None else sum(factors[first:last]) / number
        free_s = begin_s + server.time_s(number) * times
        if free_s > until_s:
            break
        done_s[first:last] = free_s
        first = last
    return done_s
