"""Membership in a group of workers that shares out something else than messages: who holds which partitions.

Three things keep two workers from holding the same partition at a time.

1. What moves is given up first and given away then (cooperative rebalancing): Kafka waits for `give_up`.
2. A lease. Kafka takes a member for dead when it has heard nothing of it for the session timeout. A member
   counts by itself, from the sending of the last heartbeat that was answered, and takes everything as lost a
   second before Kafka does: because it was frozen, or cut off, or Kafka is away. Whoever works asks `is_ours`
   at every step, so that even a process that wakes up after minutes does nothing more.
3. A member that was taken for dead claims nothing when it comes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

from agegender.shared.kafka.assignment import is_worth_moving, share_out, without_moves
from agegender.shared.kafka.client import CLOSE_MS, Cooperative, Rebalance, answered, open_member
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

_EARLY_S = 1.0  # the lease ends so much before the session
_HEARTBEAT_MS = (
    1_000  # by its answer a member learns of each round; what moves is nobody's between two of them
)
_SETTLE_S = 3.0  # after a change, before loads are evened out
_MOST_POLL_S = 30.0  # a member that does not poll for so long is taken for dead as well


class KafkaGroup:
    """One member of a group on one topic, of which it reads nothing.

    `open`, `poll` and `close` belong to one thread; all else may be asked by any.

    Args:
        topic: the full name of the topic.
        group: the name of the group without the prefix of the settings.
        weights: partition → how much work it is; 0 for those left out.
        give_up: returns when nothing of ours works on these partitions any more. Called inside of `poll` and
            `close`, by a thread of the client; it should take less than a third of the session timeout.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        kafka: KafkaSettings,
        weights: Callable[[], Mapping[int, int]],
        give_up: Callable[[Set[int]], None],
    ) -> None:
        self._topic = topic
        self._group = kafka.topic_prefix + group
        self._kafka = kafka
        self._weights = weights
        self._give_up = give_up
        self._lease_s = kafka.session_timeout_s - _EARLY_S
        self._consumer: Any = None
        self._joined: tuple[int, str] | None = None
        self._answered_at_s = -float("inf")
        self._polled_at_s = -float("inf")
        self._shared_out: Mapping[str, Set[int]] = {}
        self._uneven_since_s: float | None = None

    def open(self) -> None:
        """Joins the group, once it is polled; raises NotNow."""
        self._consumer = open_member(
            self._kafka,
            self._group,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            max_poll_interval_ms=int(max(_MOST_POLL_S, 2 * self._kafka.session_timeout_s) * 1000),
            partition_assignment_strategy=[Cooperative(self._topic, lambda: self.held, self._plan)],
        )
        self._consumer.subscribe([self._topic], listener=Rebalance(revoked=self._leave, lost=self._leave))

    def _leave(self, partitions: Collection[Any]) -> None:
        self._give_up({one.partition for one in partitions})

    @property
    def held(self) -> frozenset[int]:
        """The partitions that are ours while `is_ours`."""
        consumer = self._consumer
        return frozenset(one.partition for one in consumer.assignment()) if consumer else frozenset()

    def is_ours(self) -> bool:
        """Whether what we hold cannot be another's at this moment."""
        self._note_heartbeat()
        return time.monotonic() < min(self._answered_at_s, self._polled_at_s) + self._lease_s

    def _note_heartbeat(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        heartbeat = consumer._coordinator.heartbeat
        sent_s, answered_s = heartbeat.last_send, heartbeat.last_receive
        # There is one on its way at most: an answer younger than the last sending is the answer to it.
        if answered_s >= sent_s > self._answered_at_s:
            self._answered_at_s = sent_s

    def poll(self, timeout_s: float) -> None:
        """Takes part in the sharing out; to be called on and on.

        Raises:
            NotNow: Kafka refuses. While it does not answer, nothing is raised: `is_ours` tells.
        """
        coordinator = self._consumer._coordinator
        polled_at_s = time.monotonic()
        with answered(self._kafka):
            self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=1)
            self._consumer.pause(*self._consumer.assignment())
        self._polled_at_s = polled_at_s
        generation = coordinator.generation_if_stable()
        joined = None if generation is None else (generation.generation_id, generation.member_id)
        if joined not in (None, self._joined):
            self._joined = joined
            self._answered_at_s = max(self._answered_at_s, polled_at_s)
        if coordinator.rejoining:
            # A share that came between two polls is thrown away by the client; it must ask for another.
            coordinator.request_rejoin()
        self._even_out()

    def _plan(self, owned: Mapping[str, Set[int]], partitions: Set[int]) -> Mapping[str, Set[int]]:
        self._shared_out = share_out(owned, self._weights(), partitions)
        return without_moves(self._shared_out, owned)

    def _even_out(self) -> None:
        """Has the group share out anew when loads have grown apart: where we shared out last."""
        now_s = time.monotonic()
        shares = self._shared_out if self._consumer._coordinator._is_leader else {}
        partitions = {number for share in shares.values() for number in share}
        if not is_worth_moving(shares, self._weights(), partitions):
            self._uneven_since_s = None
        elif self._uneven_since_s is None:
            self._uneven_since_s = now_s
        elif now_s > self._uneven_since_s + _SETTLE_S:
            self._uneven_since_s = None
            log.info("sharing out anew, as loads differ", extra={"group": self._group})
            self._consumer._coordinator.request_rejoin()

    def close(self) -> None:
        """Gives everything up and leaves the group at once, so that others take over without waiting."""
        consumer = self._consumer
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
        self._consumer = None
        self._answered_at_s = -float("inf")
