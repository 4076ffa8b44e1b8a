"""How unevenly keys fall upon workers. Pure arithmetic.

Kafka gives a key to a partition by its hash. So cameras fall upon the workers of detect like balls into urns:
some get more than others, and what the unluckiest one cannot do in time waits there for ever longer, however
little the others have to do.
"""

from __future__ import annotations

import math

_SURE = 0.95


def busiest(keys: int, workers: int, partitions: int | None = None, sure: float = _SURE) -> int:
    """The most keys that any worker has, in 19 of 20 sets of names.

    The smallest m for which all workers have at most m with that probability. The number of keys of one
    worker is binomial, (keys, its share of the partitions); the workers are taken to be independent of each
    other, which errs to the safe side.

    Args:
        partitions: of the topic; None: as many for each worker.

    Raises:
        ValueError: there is no worker.
    """
    if workers < 1:
        raise ValueError(f"expected 1 worker or more, got {workers}")
    share = 1 / workers if partitions is None else math.ceil(partitions / workers) / partitions
    if share >= 1:
        return keys
    wanted = sure ** (1 / workers)
    log_odds = math.log(share) - math.log1p(-share)
    log_term = keys * math.log1p(-share)
    total = math.exp(log_term)
    for number in range(keys):
        if total >= wanted:
            return number
        log_term += math.log((keys - number) / (number + 1)) + log_odds
        total += math.exp(log_term)
    return keys


def evenly(partitions: int, workers: int) -> float:
    """What share of its workers a topic keeps busy when every partition has as much to do: 1.0 at best.

    The worker with the most partitions sets the pace: (partitions / workers) / ceil(partitions / workers).
    """
    return partitions / workers / math.ceil(partitions / workers)
