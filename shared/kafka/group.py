"""Membership in a consumer group that assigns partitions to workers and reads no messages.

Ingest uses it: a worker reads the cameras of the partitions that it holds. Three rules keep two workers from
holding the same partition at the same time.

1. A partition that moves is given up first and assigned afterwards (cooperative rebalancing). Kafka waits
   until `give_up` returns.
2. Each member has a lease. Kafka declares a member dead after the session timeout without a heartbeat. A
   member counts from the last heartbeat that was answered, and considers everything lost one second before
   Kafka does. The cause does not matter: a frozen process, a cut network or a broker that is down. The
   session is longer than the election after the death of one of several brokers. Code that works on a
   partition checks `is_ours` at every step, so a process that wakes up after minutes does nothing.
3. A member that was declared dead claims nothing when it comes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any

from agegender.shared.kafka.assignment import balanced, is_worth_rebalancing, without_owned_by_others
from agegender.shared.kafka.client import CLOSE_MS, RebalanceListener, answered, joined_as, open_member
from agegender.shared.kafka.private import Cooperative, Membership
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

_EARLY_S = 1.0  # the lease ends this long before the session
# The answer to a heartbeat tells a member of each round. Between two rounds a moving partition has no owner.
_HEARTBEAT_MS = 1_000
_SETTLE_S = 3.0  # uneven loads must last this long before a rebalance
_MOST_POLL_S = 30.0  # Kafka also declares a member dead that does not poll for this long


class KafkaGroup:
    """One member of a group on one topic.

    `open`, `poll` and `close` belong to one thread; any thread may call the rest.

    Args:
        topic: the name of the topic with the prefix.
        group: the name of the group without the prefix.
        weights: partition → how much work it is; partitions left out count as 0.
        give_up: returns when this process has stopped working on these partitions. A thread of the client
            calls it during `poll` and `close`. It should take less than a third of the session timeout.
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
        self._assigned: Mapping[str, Set[int]] = {}
        self._uneven_since_s: float | None = None

    def open(self) -> None:
        """Connects; the following polls join the group. Raises NotNow."""
        self._consumer = open_member(
            self._kafka,
            self._group,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            max_poll_interval_ms=int(max(_MOST_POLL_S, 2 * self._kafka.session_timeout_s) * 1000),
            partition_assignment_strategy=[Cooperative(self._topic, lambda: self.held, self._assign)],
        )
        listener = RebalanceListener(revoked=self._on_loss, lost=self._on_loss)
        self._consumer.subscribe([self._topic], listener=listener)

    def _on_loss(self, partitions: Collection[Any]) -> None:
        self._give_up({one.partition for one in partitions})

    @property
    def held(self) -> frozenset[int]:
        """The partitions of this member. They are ours only while `is_ours`."""
        consumer = self._consumer
        return frozenset(one.partition for one in consumer.assignment()) if consumer else frozenset()

    def is_ours(self) -> bool:
        """Whether no other member can have our partitions at this moment."""
        return time.monotonic() < min(self._last_answer_s(), self._polled_at_s) + self._lease_s

    def _last_answer_s(self) -> float:
        """When the last heartbeat that was answered had been sent."""
        consumer = self._consumer
        if consumer is None:
            return -float("inf")
        heartbeat = Membership(consumer).heartbeat
        # Only one is on its way at a time, so an answer after the last sending is the answer to it. While
        # there is none, the one before counts, which `poll` has kept.
        if heartbeat.answered_s >= heartbeat.sent_s:
            return max(self._answered_at_s, heartbeat.sent_s)
        return self._answered_at_s

    def poll(self, timeout_s: float) -> None:
        """Takes part in the group; call it again and again.

        Raises:
            NotNow: Kafka refuses. A broker that does not answer raises nothing: ask `is_ours`.
        """
        polled_at_s = time.monotonic()
        with answered(self._kafka):
            self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=1)
            self._consumer.pause(*self._consumer.assignment())
        self._polled_at_s = polled_at_s
        self._answered_at_s = self._last_answer_s()
        joined = joined_as(self._consumer)
        if joined not in (None, self._joined):
            self._joined = joined
            self._answered_at_s = max(self._answered_at_s, polled_at_s)
        membership = Membership(self._consumer)
        if membership.is_rejoining:
            membership.rejoin()
        self._even_out(membership)

    def _assign(self, owned: Mapping[str, Set[int]], partitions: Set[int]) -> Mapping[str, Set[int]]:
        self._assigned = balanced(owned, self._weights(), partitions)
        return without_owned_by_others(self._assigned, owned)

    def _even_out(self, membership: Membership) -> None:
        """Starts a rebalance when loads have grown apart. Only the leader of the group does so."""
        now_s = time.monotonic()
        assigned = self._assigned if membership.is_leader else {}
        partitions = {number for numbers in assigned.values() for number in numbers}
        if not is_worth_rebalancing(assigned, self._weights(), partitions):
            self._uneven_since_s = None
        elif self._uneven_since_s is None:
            self._uneven_since_s = now_s
        elif now_s > self._uneven_since_s + _SETTLE_S:
            self._uneven_since_s = None
            log.info("rebalancing: loads differ", extra={"group": self._group})
            membership.rejoin()

    def close(self) -> None:
        """Gives up all partitions and leaves the group at once, so that others need not wait."""
        consumer = self._consumer
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
        self._consumer = None
        self._answered_at_s = -float("inf")
