"""How many messages wait for a worker: what its topic holds less what it took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from agegender.shared.kafka.client import ANSWER_MS, ClientError, partition_of
from agegender.shared.process.metrics import Metrics

_LOOK_EVERY_S = 5.0
_AGAIN_S = 60.0  # a look that fails costs `ANSWER_MS`, in which nothing else is done


class KafkaLag:
    """Tells the metrics the lag of each partition that a consumer holds.

    The broker is asked: a worker that waits for something else fetches nothing, and just then messages pile
    up. Used by the consumer's thread.

    Args:
        service: whose lag it is.
        topic_prefix: what the names of topics begin with, which the metrics leave out.
    """

    def __init__(self, service: str, topic_prefix: str, metrics: Metrics) -> None:
        self._service = service
        self._topic_prefix = topic_prefix
        self._gauge = metrics.lag
        self._shown: set[tuple[str, int]] = set()
        self._due_s = 0.0

    def look(self, consumer: Any, taken_in: Iterable[Any]) -> None:  # noqa: ANN401
        """Asks the broker, at most every few seconds.

        Args:
            taken_in: records that the consumer has given, and that nobody works on yet.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        try:
            lags = _lags(consumer, taken_in)
        except ClientError:
            # It may be away, or share out the partitions anew; whoever reads messages hears of that.
            self._due_s = now_s + _AGAIN_S
            return
        self._due_s = now_s + _LOOK_EVERY_S
        self._show(lags)

    def forget(self) -> None:
        """Nothing is held any more."""
        self._show({})

    def _show(self, lags: Mapping[tuple[str, int], int]) -> None:
        for gone in self._shown - lags.keys():
            self._gauge.remove(*self._labels(gone))
        for partition, lag in lags.items():
            self._gauge.labels(*self._labels(partition)).set(lag)
        self._shown = set(lags)

    def _labels(self, partition: tuple[str, int]) -> tuple[str, str, str]:
        topic, number = partition
        return self._service, topic.removeprefix(self._topic_prefix), str(number)


def _lags(consumer: Any, taken_in: Iterable[Any]) -> Mapping[tuple[str, int], int]:  # noqa: ANN401
    held = consumer.assignment()
    if not held:
        return {}
    waiting = Counter(partition_of(record) for record in taken_in)
    ends = consumer.end_offsets(held, timeout_ms=ANSWER_MS)
    positions = {one: consumer.position(one, timeout_ms=ANSWER_MS) for one in held}
    return {
        (one.topic, one.partition): max(0, ends[one] - position) + waiting[one]
        for one, position in positions.items()
        if position is not None and one in ends
    }
