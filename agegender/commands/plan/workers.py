"""How many workers each service needs. Pure arithmetic, in CPU seconds of one core a second: cores.

    ingest    cameras x (stream_fps x decode + fps x (pick + encode + write a frame))
    detect    cameras x fps x (read a frame + search it + faces x each face)
              + classified x (write a face) + track updates x (write)
    classify  classified x (read a face + calibrate it + write a result) + track updates x (read + write)
    sink      (classified + track updates) x (read + store)

With a GPU, classifying a face is what is left to the CPU. A worker of detect waits for the broker after each
batch, a worker of classify too, and can use only the rest of its time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand, Rates, area_ratio, sent_wh
from agegender.commands.plan.placing import busiest
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.shared.process.settings import KafkaSettings

Service = Literal["ingest", "detect", "classify", "sink"]

BUSY_AT_MOST = 0.9
"""Of the time of any single worker, so that what comes in bursts does not wait for long."""
BUSY_AFTER_A_DEATH = 0.97
"""The same when one worker of detect is away: it catches up slowly, and does not fall behind."""
PARTITIONS_PER_WORKER = 4
"""When a worker dies, the others take its partitions over, whole ones: with 4 each the unluckiest one has a
quarter more to do then, which the headroom bears; with one each it would have twice as much."""
DETECT_CORES = (1, 2, 4, 8)
"""A worker of detect with several threads has more cameras, and so its share of them varies less."""
_WORTH_MORE_CORES = 0.9  # a larger worker is planned only if it saves a tenth of all cores


@dataclass(frozen=True)
class Workers:
    """The workers of one service."""

    service: Service
    load_cores: float
    """What all of the work takes in the busy hour, without any headroom."""
    workers: int
    cores_each: int
    memory_mb_each: float
    busiest: float
    """What share of its time the worker with the most to do is busy in that hour."""

    @property
    def cores(self) -> int:
        """Of all of them."""
        return self.workers * self.cores_each


def camera_cores(demand: Demand, constants: Constants) -> tuple[float, float]:
    """What ingest and detect need for one camera, in cores."""
    cost, area = constants.ingest, area_ratio(demand.stream_wh, constants)
    looked_ms = area * (cost.pick_ms + cost.encode_ms) + constants.kafka.frame.write_ms
    ingest_ms = demand.stream_fps * area * cost.decode_ms + demand.fps * looked_ms
    return ingest_ms / 1000, demand.fps * frame_ms(demand, constants) / 1000


def frame_ms(demand: Demand, constants: Constants) -> float:
    """The time of detect for a frame with the usual number of faces, with all writes.

    The search is not scaled with the size of the frame: DETECT_LONGER_SIDE_PX fixes what is searched.
    """
    detect, kafka = constants.detect, constants.kafka
    scaled_read_ms = kafka.frame.read_ms * area_ratio(sent_wh(demand.stream_wh), constants)
    return scaled_read_ms + detect.frame_ms + demand.faces * detect.face_ms


def working_share(batch_ms: float, constants: Constants) -> float:
    """The share of its time that a worker with such batches works. The rest it waits for the broker."""
    return batch_ms / (batch_ms + constants.kafka.batch_wait_ms)


def plan_ingest(demand: Demand, constants: Constants) -> Workers:
    """Cameras are shared out by their number, so that no worker has more than one above another."""
    each, _ = camera_cores(demand, constants)
    most = max(1, math.floor(BUSY_AT_MOST / (each * demand.headroom / 1.0)))
    workers = math.ceil(demand.cameras / most)
    held = math.ceil(demand.cameras / workers)
    memory = constants.memory
    return Workers(
        service="ingest",
        load_cores=demand.cameras * each,
        workers=workers,
        cores_each=max(1, math.ceil(each * demand.headroom)),
        memory_mb_each=memory.ingest_mb + held * memory.ingest_camera_mb,
        busiest=held * each / max(1, math.ceil(each * demand.headroom)),
    )


def plan_detect(demand: Demand, constants: Constants, rate: Rates) -> Workers:
    """The size of worker with which all of them together have the fewest cores."""
    choices = [detect_of(cores, demand, constants, rate) for cores in DETECT_CORES]
    best = choices[0]
    for one in choices[1:]:
        if one.cores < best.cores * _WORTH_MORE_CORES:
            best = one
    return best


def detect_of(cores: int, demand: Demand, constants: Constants, rate: Rates) -> Workers:
    """Workers of so many cores each, as many as chance and a death ask for."""
    _, each = camera_cores(demand, constants)
    kafka = constants.kafka
    sent = rate.classified * kafka.face.write_ms + rate.track_updates * kafka.track_update.write_ms
    each += sent / 1000 / demand.cameras
    batch = DetectSettings(threads=cores).batch().max_messages / cores
    usable = cores * working_share(batch * frame_ms(demand, constants), constants)
    load = demand.cameras * each
    workers = max(1, math.ceil(load * demand.headroom / usable))
    while (
        not _bears(workers, demand.cameras, each / usable) and workers < _MOST_FOR_A_CAMERA * demand.cameras
    ):
        workers = max(workers + 1, math.ceil(workers * 1.02))
    return Workers(
        service="detect",
        load_cores=load,
        workers=workers,
        cores_each=cores,
        memory_mb_each=constants.memory.detect_mb * (1 + _THREAD_MEMORY * (cores - 1)),
        busiest=busiest(demand.cameras, workers) * each / usable,
    )


def _bears(workers: int, cameras: int, each: float) -> bool:
    """Whether the busiest worker keeps up, and also does when another one has died."""
    if busiest(cameras, workers) * each > BUSY_AT_MOST:
        return False
    partitions = partitions_for(workers)
    return workers == 1 or busiest(cameras, workers - 1, partitions) * each <= BUSY_AFTER_A_DEATH


_MOST_FOR_A_CAMERA = 4
_THREAD_MEMORY = 0.1  # a detector of its own for each thread


def partitions_for(workers: int) -> int:
    """A multiple of the workers, so that all have as many, and no fewer than a topic has anyway."""
    usual = KafkaSettings().partitions
    if usual % workers == 0 and usual >= PARTITIONS_PER_WORKER * workers:
        return usual
    return workers * max(PARTITIONS_PER_WORKER, math.ceil(usual / workers))


def plan_classify(demand: Demand, constants: Constants, rate: Rates) -> Workers:
    """Faces are keyed by person: so many keys, and so short-lived, that they spread evenly."""
    kafka, cost = constants.kafka, constants.classify
    face_ms = cost.host_ms if demand.gpu else cost.face_ms
    classifying_ms = kafka.face.read_ms + face_ms + kafka.result.write_ms
    passing_ms = kafka.track_update.read_ms + kafka.track_update.write_ms
    load = (rate.classified * classifying_ms + rate.track_updates * passing_ms) / 1000
    batch = classify_batch(demand, constants)
    busy_ms = load * 1000 / (rate.classified + rate.track_updates) * batch + kafka.batch_wait_ms
    if demand.gpu:
        busy_ms += constants.gpu.batch_ms
    # In full batches: with less to do, a worker has time to wait.
    time_s = (rate.classified + rate.track_updates) / batch * busy_ms / 1000
    workers = max(1, math.ceil(time_s * demand.headroom), math.ceil(gpus(demand, constants, rate)))
    return Workers(
        service="classify",
        load_cores=load,
        workers=workers,
        cores_each=1,
        memory_mb_each=constants.memory.classify_mb,
        busiest=time_s / workers,
    )


def classify_batch(demand: Demand, constants: Constants) -> int:
    """Messages that classify takes at once: as many as a GPU wants, or as the settings come."""
    return constants.gpu.batch_faces if demand.gpu else ClassifySettings().batch_messages


def gpus(demand: Demand, constants: Constants, rate: Rates) -> float:
    """How many GPUs the nets keep busy, headroom included; a fraction where one is enough."""
    if not demand.gpu:
        return 0.0
    per_face_s = constants.gpu.batch_ms / constants.gpu.batch_faces / 1000
    return rate.classified * per_face_s * demand.headroom


def plan_sink(demand: Demand, constants: Constants, rate: Rates) -> Workers:
    """A sink waits for Redis as long as it works, so its time counts, not its CPU time."""
    store, kafka = constants.store, constants.kafka
    read_ms = (
        rate.classified * kafka.result.read_ms + rate.track_updates * kafka.track_update.read_ms
    ) / rate.stored
    load = rate.stored * (store.sink_ms + read_ms) / 1000
    time_s = rate.stored * (store.message_ms + read_ms) / 1000
    workers = max(1, math.ceil(time_s * demand.headroom))
    each = time_s / demand.cameras
    while busiest(demand.cameras, workers) * each > BUSY_AT_MOST and workers < demand.cameras:
        workers = max(workers + 1, math.ceil(workers * 1.02))
    return Workers(
        service="sink",
        load_cores=load,
        workers=workers,
        cores_each=1,
        memory_mb_each=constants.memory.sink_mb,
        busiest=busiest(demand.cameras, workers) * each,
    )


def plan_workers(demand: Demand, constants: Constants, rate: Rates) -> Mapping[Service, Workers]:
    """All four services."""
    return {
        "ingest": plan_ingest(demand, constants),
        "detect": plan_detect(demand, constants, rate),
        "classify": plan_classify(demand, constants, rate),
        "sink": plan_sink(demand, constants, rate),
    }
