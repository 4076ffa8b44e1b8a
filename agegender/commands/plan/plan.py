"""The plan: workers, topics, broker, store, what costs most and what breaks first. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand, Rates, area_ratio, rates, sent_wh
from agegender.commands.plan.workers import (
    PARTITIONS_PER_WORKER,
    Service,
    Workers,
    camera_cores,
    gpus,
    partitions_for,
    plan_workers,
)
from agegender.services.sink.config import SinkSettings
from agegender.shared.kafka.topics import FRAMES, RESULTS
from agegender.shared.process.settings import KafkaSettings

MOST_PARTITIONS = 1_000
"""What KAFKA_PARTITIONS and KAFKA_CAMERA_PARTITIONS allow."""
BROKER_MB_S = 400.0
"""What a broker carries in and out: a third of a network of 10 Gbit/s."""
MOST_BROKERS = 30
"""Larger clusters exist, but this plan was not measured for them."""
REDIS_BUSY_AT_MOST = 0.6
"""Redis has one thread, and the answers to queries are its work too."""
_KEPT_LONGER = 1.8
"""Kafka deletes closed segments, and looks for them every five minutes: pictures that are to be kept for 10
minutes are there for up to 18."""
_DAY_S = 86_400.0


@dataclass(frozen=True)
class TopicPlan:
    """One topic."""

    name: str
    partitions: int
    in_mb_s: float
    """Written by workers; copies not included."""
    disk_gb: float
    """With all copies."""


@dataclass(frozen=True)
class BrokerPlan:
    """Kafka as a whole."""

    brokers: int
    in_mb_s: float
    """From workers, and between brokers for the copies."""
    out_mb_s: float
    """To workers, and between brokers for the copies."""
    disk_gb: float


@dataclass(frozen=True)
class RedisPlan:
    """The store."""

    memory_gb: float
    visits_kept: int
    cut_off: bool
    """Whether cameras have more persons than SINK_VISITS_PER_CAMERA keeps."""
    busiest: float
    """What share of its time its thread is busy."""


@dataclass(frozen=True)
class Limit:
    """Something that ends somewhere."""

    what: str
    times: float
    """How many times the cameras of this plan until it is reached."""


@dataclass(frozen=True)
class Plan:
    """What a demand needs. Where `systems` is more than 1, all is for one of so many equal systems."""

    demand: Demand
    systems: int
    cameras_each: int
    rates: Rates
    workers: Mapping[Service, Workers]
    gpus: int
    topics: Sequence[TopicPlan]
    camera_partitions: int
    broker: BrokerPlan
    redis: RedisPlan
    drivers: Mapping[str, float]
    """What share of all CPU time it takes, the largest first."""
    limits: Sequence[Limit]
    """What breaks first, when more cameras come and nothing else."""
    warnings: Sequence[str]

    @property
    def cores(self) -> int:
        """Of all workers of all systems."""
        return self.systems * sum(one.cores for one in self.workers.values())

    @property
    def default_topics_suffice(self) -> bool:
        """Whether the partitions that services give to new topics are enough."""
        return all(one.partitions <= KafkaSettings().partitions for one in self.topics)


def make_plan(demand: Demand, constants: Constants) -> Plan:
    """The plan for a demand: one system where that can be, else as few equal ones as can be."""
    systems = 1
    while True:
        each = replace(demand, cameras=math.ceil(demand.cameras / systems))
        plan = _one_system(demand, each, systems, constants)
        tightest = min(limit.times for limit in plan.limits if limit.what in _OF_A_SYSTEM)
        if tightest >= 1:
            return plan
        systems = max(systems + 1, math.floor(systems / tightest))


def _one_system(demand: Demand, each: Demand, systems: int, constants: Constants) -> Plan:
    rate = rates(each)
    workers = plan_workers(each, constants, rate)
    topics = _topics(each, constants, rate, workers)
    broker = _broker(each, topics)
    redis = _redis(each, constants, rate)
    camera_partitions = min(MOST_PARTITIONS, max(KafkaSettings().camera_partitions, 2 * each.cameras))
    gpu_number = math.ceil(gpus(each, constants, rate))
    limits = _limits(workers, topics, broker, redis)
    return Plan(
        demand=demand,
        systems=systems,
        cameras_each=each.cameras,
        rates=rate,
        workers=workers,
        gpus=gpu_number,
        topics=topics,
        camera_partitions=camera_partitions,
        broker=broker,
        redis=redis,
        drivers=_drivers(each, constants, rate, workers),
        limits=limits,
        warnings=_warnings(each, systems, constants, rate, workers, redis),
    )


def _topics(
    demand: Demand, constants: Constants, rate: Rates, workers: Mapping[Service, Workers]
) -> Sequence[TopicPlan]:
    kafka = constants.kafka
    frame_bytes = kafka.frame.size_bytes * area_ratio(sent_wh(demand.stream_wh), constants)
    track_update_bytes = kafka.track_update.size_bytes + demand.faces * kafka.track_summary_bytes
    state_bytes = kafka.state_bytes + demand.faces * kafka.state_track_bytes
    pictures_s = demand.picture_minutes * 60 * _KEPT_LONGER
    # Of a day, the busy hours count; then a segment, a quarter of the time, may have to be closed yet.
    results_s = RESULTS.retention_s * min(1.0, demand.busy_hours * 3600 / _DAY_S) * 1.25
    frames, faces = partitions_for(workers["detect"].workers), partitions_for(workers["classify"].workers)
    results = partitions_for(workers["sink"].workers)
    classified_bytes = rate.classified * kafka.face.size_bytes + rate.track_updates * track_update_bytes
    result_bytes = rate.classified * kafka.result.size_bytes + rate.track_updates * track_update_bytes
    return [
        _topic("frames", frames, rate.frames * frame_bytes, pictures_s, demand),
        _topic("faces", faces, classified_bytes, pictures_s, demand),
        _topic("results", results, result_bytes, results_s, demand),
        _topic("checkpoints", frames, rate.frames * state_bytes, _CHECKPOINTS_KEPT_S, demand),
    ]


_CHECKPOINTS_KEPT_S = 180.0
"""Compaction leaves the newest of each camera, of all that is older than a minute; it takes its time."""


def _topic(name: str, partitions: int, bytes_s: float, kept_s: float, demand: Demand) -> TopicPlan:
    return TopicPlan(name, partitions, bytes_s / 1e6, bytes_s * kept_s * demand.replication / 1e9)


def _broker(demand: Demand, topics: Sequence[TopicPlan]) -> BrokerPlan:
    written = sum(one.in_mb_s for one in topics)
    # Everything but the states is read once; a checkpoint only by the worker that takes over.
    read = sum(one.in_mb_s for one in topics if one.name != "checkpoints")
    copies = (demand.replication - 1) * written
    brokers = max(demand.replication, math.ceil(max(written + copies, read + copies) / BROKER_MB_S))
    return BrokerPlan(brokers, written + copies, read + copies, sum(one.disk_gb for one in topics))


def _redis(demand: Demand, constants: Constants, rate: Rates) -> RedisPlan:
    store = constants.store
    most = SinkSettings().visits_per_camera
    wanted = rate.visits_per_camera_day * demand.kept_days
    kept = min(wanted, most)
    memory = demand.cameras * (store.camera_bytes + kept * store.visit_bytes)
    return RedisPlan(
        memory_gb=memory / 1e9,
        visits_kept=round(demand.cameras * kept),
        cut_off=wanted > most,
        busiest=rate.stored * store.redis_ms / 1000,
    )


def _drivers(
    demand: Demand, constants: Constants, rate: Rates, workers: Mapping[Service, Workers]
) -> Mapping[str, float]:
    total = sum(one.load_cores for one in workers.values())
    area, cost = area_ratio(demand.stream_wh, constants), constants.ingest
    per_face_ms = constants.classify.host_ms if demand.gpu else constants.classify.face_ms
    parts = {
        "decoding the streams": demand.cameras * demand.stream_fps * area * cost.decode_ms,
        "picking, shrinking and JPEG": rate.frames * area * (cost.pick_ms + cost.encode_ms),
        "searching faces in frames": rate.frames * constants.detect.frame_ms,
        "following and cutting faces": rate.frames * demand.faces * constants.detect.face_ms,
        "classifying age and gender": rate.classified * per_face_ms,
        "the store": rate.stored * constants.store.sink_ms,
    }
    parts["Kafka's messages"] = max(0.0, total * 1000 - sum(parts.values()))
    shares = {name: ms / 1000 / total for name, ms in parts.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


_PARTITION_LIMIT = f"the largest topic has {MOST_PARTITIONS:,} partitions"
_BROKER_LIMIT = f"{MOST_BROKERS} brokers carry the pictures"
_REDIS_LIMIT = "the one thread of Redis"
_CAMERA_LIMIT = f"{MOST_PARTITIONS:,} partitions share cameras out evenly"
_OF_A_SYSTEM = (_CAMERA_LIMIT, _PARTITION_LIMIT, _BROKER_LIMIT, _REDIS_LIMIT)
"""What no number of workers mends: more of it takes another system."""


def _limits(
    workers: Mapping[Service, Workers],
    topics: Sequence[TopicPlan],
    broker: BrokerPlan,
    redis: RedisPlan,
) -> Sequence[Limit]:
    found = [Limit(f"the busiest worker of {one.service}", 1 / one.busiest) for one in workers.values()]
    carried = MOST_BROKERS * BROKER_MB_S / max(broker.in_mb_s, broker.out_mb_s)
    found += [
        Limit(_PARTITION_LIMIT, MOST_PARTITIONS / max(one.partitions for one in topics)),
        Limit(_BROKER_LIMIT, carried),
        Limit(_REDIS_LIMIT, REDIS_BUSY_AT_MOST / redis.busiest),
        Limit(_CAMERA_LIMIT, MOST_PARTITIONS / (PARTITIONS_PER_WORKER * workers["ingest"].workers)),
    ]
    return sorted(found, key=lambda one: one.times)


def _warnings(
    demand: Demand,
    systems: int,
    constants: Constants,
    rate: Rates,
    workers: Mapping[Service, Workers],
    redis: RedisPlan,
) -> Sequence[str]:
    found = []
    if systems > 1:
        found.append(
            f"One system does not bear it: {systems} systems of {demand.cameras:,} cameras each, each with a "
            "KAFKA_TOPIC_PREFIX, a Kafka and a Redis of its own."
        )
    if demand.gpu and not constants.gpu.is_measured:
        found.append(
            "The numbers of the GPU are a careful guess, not measured. "
            f"Run `{constants.machine.command}` on a machine with one."
        )
    if demand.gpu:
        found.append(_what_a_gpu_saves(demand, constants, rate, workers))
    if redis.cut_off:
        found.append(
            f"A camera has {rate.visits_per_camera_day * demand.kept_days:,.0f} persons in the time that is "
            f"kept, and Redis keeps its newest {SinkSettings().visits_per_camera:,}: raise "
            "SINK_VISITS_PER_CAMERA for more. The counts are whole in any case."
        )
    if demand.picture_minutes * 60 > FRAMES.retention_s:
        found.append("Pictures of people stay in Kafka for longer than the privacy document says.")
    return found


def _what_a_gpu_saves(
    demand: Demand, constants: Constants, rate: Rates, workers: Mapping[Service, Workers]
) -> str:
    saved = rate.classified * (constants.classify.face_ms - constants.classify.host_ms) / 1000
    without = sum(one.load_cores for one in workers.values()) + saved
    detect = camera_cores(demand, constants)[1] * demand.cameras
    return (
        f"GPUs take {saved / without:.1%} of the work: they run the nets of classify alone. "
        f"Finding the faces, {detect / without:.0%} of it, stays on CPUs."
    )
