"""Plays a plan through: every frame of every camera of a system, on its way through all the workers.

Nothing flows back, so the stages are simulated one after the other: the results of one come to the next.
Within a stage, each worker is a queue of its own (`queues.py`). Partitions decide which worker gets a
message, as in Kafka: keys go to partitions by hash, and partitions to workers in even ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import area_ratio
from agegender.commands.plan.plan import Plan
from agegender.commands.plan.queues import Server, Times, serve
from agegender.commands.plan.workers import Service, camera_cores, classify_batch, frame_ms
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.services.sink.config import SinkSettings
from agegender.shared.process.settings import KafkaSettings

Whole = NDArray[np.int64]

WARM_UP_S = 5.0
"""At the beginning all queues are empty; what comes then is not counted."""
_BEHIND_DETECT: tuple[Service, ...] = ("classify", "sink")
REBALANCE_S = 3.0
"""How long a group shares out its partitions, once it knows that a member has died."""


@dataclass(frozen=True)
class Scenario:
    """What happens.

    Attributes:
        seconds: how long frames come.
        load: how many times the cameras of the plan there are, for the same workers.
        detect_dies_s: when one worker of detect dies; None: none does.
        rush: how many times the usual faces are classified in the middle third of the time.
        seed: of all that is left to chance.
    """

    seconds: float = 40.0
    load: float = 1.0
    detect_dies_s: float | None = None
    rush: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Played:
    """What came of it: of each classified face, when its frame was taken and when it was in the store."""

    taken_s: Times
    delay_s: Times
    """Infinite for those that a worker never came to."""
    busiest: float
    """What share of its time the busiest worker of detect would need: above 1 its queue grows for ever."""
    overloaded: int
    """How many workers of detect are above 1."""

    def percentile(self, share: float) -> float:
        """The delay that this share, 0 to 1, of faces does not exceed."""
        if not len(self.delay_s):
            return 0.0
        return float(np.quantile(self.delay_s, share, method="higher"))

    def by_second(self, share: float) -> tuple[Times, Times]:
        """Seconds, and the delay that this share of the faces taken in each of them does not exceed."""
        seconds = np.floor(self.taken_s).astype(np.int64)
        present = np.unique(seconds)
        quantiles = [np.quantile(self.delay_s[seconds == one], share, method="higher") for one in present]
        return present.astype(np.float64), np.asarray(quantiles)


def servers(plan: Plan, constants: Constants) -> dict[Service, Server]:
    """The workers of a plan as queues."""
    demand, kafka = plan.demand, constants.kafka
    wait_s, detect = kafka.batch_wait_ms / 1000, plan.workers["detect"]
    classify = ClassifySettings()
    classifying_ms = constants.classify.host_ms if demand.gpu else constants.classify.face_ms
    area, cost = area_ratio(demand.stream_wh, constants), constants.ingest
    held = math.ceil(plan.cameras_each / plan.workers["ingest"].workers)
    looked_ms = area * (cost.pick_ms + cost.encode_ms) + kafka.frame.write_ms
    # The same core decodes all streams of the worker meanwhile.
    decoding = min(0.9, held * demand.stream_fps * area * cost.decode_ms / 1000)
    return {
        "ingest": Server(limit=held, message_s=looked_ms / 1000 / (1 - decoding), batch_s=wait_s),
        "detect": Server(
            limit=DetectSettings(threads=detect.cores_each).batch().max_messages,
            message_s=frame_ms(demand, constants) / 1000,
            batch_s=wait_s,
            side_by_side=detect.cores_each,
        ),
        "classify": Server(
            limit=classify_batch(demand, constants),
            message_s=(kafka.face.read_ms + classifying_ms + kafka.result.write_ms) / 1000,
            batch_s=wait_s,
            wait_s=classify.batch_wait_s,
            device_s=constants.gpu.batch_ms / 1000 if demand.gpu else 0.0,
            device_limit=constants.gpu.batch_faces,
        ),
        "sink": Server(
            limit=SinkSettings().batch_messages, message_s=constants.store.message_ms / 1000, batch_s=wait_s
        ),
    }


def play(plan: Plan, constants: Constants, scenario: Scenario) -> Played:
    """One system of the plan."""
    chance = np.random.default_rng(scenario.seed)
    queues, kafka = servers(plan, constants), constants.kafka
    cameras = max(1, round(plan.cameras_each * scenario.load))
    taken_s, camera = _frames(cameras, plan.demand.fps, scenario.seconds, chance)
    readers = camera % plan.workers["ingest"].workers
    # A worker that is too slow drops frames instead of letting them wait, so it is given those of the plan.
    sent_s = _stage(taken_s, readers, queues["ingest"]) if scenario.load <= 1 else taken_s
    partitions = next(one.partitions for one in plan.topics if one.name == "frames")
    home = chance.integers(0, partitions, cameras)
    found_s = _detect(sent_s, home[camera], partitions, plan, queues["detect"], scenario)
    detect = plan.workers["detect"]
    held = np.bincount(ranges(partitions, detect.workers)[home], minlength=detect.workers)
    busy = held * camera_cores(plan.demand, constants)[1] / detect.cores_each
    frame, is_face = _messages(taken_s, plan, scenario, chance)
    stored_s = found_s[frame]
    passing = (kafka.track_update.read_ms + kafka.track_update.write_ms) / 1000 / queues["classify"].message_s
    factors: Mapping[Service, Times] = {"classify": np.where(is_face, 1.0, passing)}
    for name in _BEHIND_DETECT:
        worker = chance.integers(0, plan.workers[name].workers, len(frame))
        stored_s = _stage(stored_s, worker, queues[name], factors.get(name))
    counted = is_face & (taken_s[frame] >= WARM_UP_S)
    delay_s = (stored_s - taken_s[frame])[counted]
    return Played(taken_s[frame][counted], delay_s, float(busy.max()), int((busy > 1).sum()))


def _frames(cameras: int, fps: float, seconds: float, chance: np.random.Generator) -> tuple[Times, Whole]:
    """When each frame is taken and by which camera, in order: each is regular, in a phase of its own."""
    each = int(seconds * fps)
    phase_s = chance.uniform(0, 1 / fps, cameras)
    taken_s = (phase_s[:, None] + np.arange(each)[None, :] / fps).ravel()
    camera = np.repeat(np.arange(cameras), each)
    order = np.argsort(taken_s, kind="stable")
    return taken_s[order], camera[order]


def _messages(
    taken_s: Times, plan: Plan, scenario: Scenario, chance: np.random.Generator
) -> tuple[Whole, NDArray[np.bool_]]:
    """Which frame each message came of, and whether it is a classified face; the others are track updates."""
    rate = plan.rates
    third = scenario.seconds / 3
    rushed = np.where((taken_s >= third) & (taken_s < 2 * third), scenario.rush, 1.0)
    faces = chance.poisson(rushed * rate.classified / rate.frames)
    track_updates = chance.random(len(taken_s)) < rate.track_updates / rate.frames
    frames = np.arange(len(taken_s))
    frame = np.concatenate([np.repeat(frames, faces), frames[track_updates]])
    is_face = np.arange(len(frame)) < faces.sum()
    return frame, is_face


def ranges(partitions: int, workers: int) -> Whole:
    """Which worker has each partition: in ranges, the first of them one longer where it is not even."""
    each, more = divmod(partitions, workers)
    return np.repeat(np.arange(workers), [each + (number < more) for number in range(workers)])


def _stage(come_s: Times, worker: Whole, server: Server, factors: Times | None = None) -> Times:
    """When each message is done, given its worker and how many times the usual time it takes."""
    done_s = np.full(len(come_s), math.inf)
    order = np.lexsort((come_s, worker))
    order = order[np.isfinite(come_s[order])]
    for places in np.split(order, np.flatnonzero(np.diff(worker[order])) + 1):
        times = None if factors is None else factors[places].tolist()
        done_s[places] = serve(come_s[places], server, factors=times)
    return done_s


def _detect(
    sent_s: Times, partition: Whole, partitions: int, plan: Plan, server: Server, scenario: Scenario
) -> Times:
    workers = plan.workers["detect"].workers
    owner = ranges(partitions, workers)[partition]
    dies_s = scenario.detect_dies_s
    if dies_s is None or workers == 1:
        return _stage(sent_s, owner, server)
    # The others go on until the group knows. Then all partitions are assigned to the remaining workers.
    known_s = dies_s + KafkaSettings().session_timeout_s
    done_s = _stage(sent_s, owner, server)
    dead = owner == workers // 2
    order = np.flatnonzero(dead)[np.argsort(sent_s[dead], kind="stable")]
    done_s[order] = serve(sent_s[order], server, until_s=dies_s)
    left = done_s > known_s
    heirs = ranges(partitions, workers - 1)[partition]
    again_s = np.maximum(sent_s, known_s + REBALANCE_S)
    done_s[left] = _stage(again_s[left], heirs[left], server)
    return done_s
