"""How many messages wait for a worker: what its topic holds less what it took."""

from __future__ import annotations

import time
from typing import Any

from shared.kafka_io import ANSWER_MS, ClientError
from shared.metrics import Metrics

_LOOK_EVERY_S = 5.0
_AGAIN_S = 60.0  # a look that fails costs `ANSWER_MS`, in which nothing else is done


class KafkaLag:
    """Tells the metrics the lag of each partition that a consumer holds.

    The broker is asked: a worker that waits for something else fetches nothing, and just then messages pile
    up. Used by the consumer's thread.

    Args:
        service: whose lag it is.
        topic: the name of the topic without the prefix of the settings.
    """

    def __init__(self, service: str, topic: str, metrics: Metrics) -> None:
        self._labels = (service, topic)
        self._gauge = metrics.lag
        self._shown: set[int] = set()
        self._due_s = 0.0

    def look(self, consumer: Any) -> None:  # noqa: ANN401  (kafka-python has no types)
        """Asks the broker, at most every few seconds. A batch in hand does not count as waiting."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        try:
            lags = _lags(consumer)
        except ClientError:
            # It may be away, or share out the partitions anew; whoever reads messages hears of that.
            self._due_s = now_s + _AGAIN_S
            return
        self._due_s = now_s + _LOOK_EVERY_S
        self._show(lags)

    def forget(self) -> None:
        """Nothing is held any more."""
        self._show({})

    def _show(self, lags: dict[int, int]) -> None:
        for partition in self._shown - lags.keys():
            self._gauge.remove(*self._labels, str(partition))
        for partition, lag in lags.items():
            self._gauge.labels(*self._labels, str(partition)).set(lag)
        self._shown = set(lags)


def _lags(consumer: Any) -> dict[int, int]:  # noqa: ANN401
    held = consumer.assignment()
    if not held:
        return {}
    ends = consumer.end_offsets(held, timeout_ms=ANSWER_MS)
    positions = {one: consumer.position(one, timeout_ms=ANSWER_MS) for one in held}
    return {
        one.partition: max(0, ends[one] - position)
        for one, position in positions.items()
        if position is not None and one in ends
    }
