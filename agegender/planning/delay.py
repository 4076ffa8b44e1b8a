"""How long it takes from a picture to the store, by the formulas of queues. Pure arithmetic.

A worker with Poisson arrivals, a fixed time S for each message and a share r of its time busy lets a message
wait for r S / (2 (1 - r)) on average (the M/D/1 queue; Pollaczek and Khinchine). The share that waits for
longer than t falls as r exp(-q t / S), where q > 0 solves r (exp(q) - 1) = q. Frames of cameras come more
regularly than that, so this errs to the safe side. `--simulate` plays it through instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agegender.planning.constants import Constants
from agegender.planning.demand import Demand, Rates, area_ratio
from agegender.planning.workers import Service, Workers, frame_ms
from services.classify.config import ClassifySettings

_HALVINGS = 50


@dataclass(frozen=True)
class Delay:
    """From the arrival of a frame until what it shows is in the store."""

    median_s: float
    p99_s: float
    """One of a hundred takes longer: those of the busiest workers."""


def mean_wait_s(busy: float, service_s: float) -> float:
    """Of an M/D/1 queue, the service itself not included; infinite where the work is too much."""
    return math.inf if busy >= 1 else busy * service_s / (2 * (1 - busy))


def long_wait_s(busy: float, service_s: float, share: float = 0.01) -> float:
    """The wait that this share of messages exceeds; 0 where fewer wait at all."""
    if busy >= 1:
        return math.inf
    if busy <= share:
        return 0.0
    low, high = 0.0, 2 / busy
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if busy * math.expm1(middle) > middle else (middle, high)
    return service_s * math.log(busy / share) / high


def expected_delay(
    demand: Demand, constants: Constants, rate: Rates, workers: Mapping[Service, Workers]
) -> Delay:
    """The stages one after the other; the long waits of all four at once count for one of a hundred."""
    base_s = sum(_least_s(demand, constants, rate, workers).values())
    services = service_times_s(demand, constants, workers)
    usual = sum(mean_wait_s(one.load_cores / one.cores, services[name]) for name, one in workers.items())
    long = sum(long_wait_s(one.busiest, services[name]) for name, one in workers.items())
    return Delay(base_s + usual, base_s + long)


def service_times_s(
    demand: Demand, constants: Constants, workers: Mapping[Service, Workers]
) -> Mapping[Service, float]:
    """How long a worker has to do for each message, all of its cores at once."""
    cost, kafka, area = constants.ingest, constants.kafka, area_ratio(demand.stream_wh, constants)
    judging_ms = constants.classify.host_ms if demand.gpu else constants.classify.face_ms
    return {
        "ingest": (area * (cost.pick_ms + cost.encode_ms) + kafka.frame.write_ms) / 1000,
        "detect": frame_ms(demand, constants) / 1000 / workers["detect"].cores_each,
        "classify": (kafka.face.read_ms + judging_ms + kafka.result.write_ms) / 1000,
        "sink": constants.store.message_ms / 1000,
    }


def _least_s(
    demand: Demand, constants: Constants, rate: Rates, workers: Mapping[Service, Workers]
) -> Mapping[Service, float]:
    """What each stage takes when nobody else waits there."""
    services, wait_s = service_times_s(demand, constants, workers), constants.kafka.batch_wait_ms / 1000
    batch_s = ClassifySettings().batch_wait_s
    together = 1 + rate.judged / workers["classify"].workers * batch_s
    device_s = constants.gpu.batch_ms / 1000 if demand.gpu else 0.0
    return {
        "ingest": services["ingest"] + wait_s,
        "detect": frame_ms(demand, constants) / 1000 + wait_s,
        "classify": batch_s
        + min(together, ClassifySettings().batch_messages) * services["classify"]
        + device_s
        + wait_s,
        "sink": services["sink"] + wait_s,
    }
