"""What messages cost on their way over a real broker, and how long a worker waits for it."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from typing import TypeVar

from agegender.commands.plan.constants import KafkaCosts, MessageCosts
from agegender.services.classify.calibration import load_calibration
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.services.detect.tracking.camera_tracks import CameraTracks
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES, RESULTS, Topic
from agegender.shared.messages.codec import AnyCodec
from agegender.shared.messages.pipeline import Face, Frame, Model, TrackUpdate
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.stage import Done
from agegender.shared.runtime.transport import Assignment
from tests.support.availability import ServerUnavailableError
from tests.support.kafka_broker import launch_broker
from tests.support.kafka_frames import until_done
from tests.support.made_messages import frame_info, track_summary, track_update
from tests.support.simulated_device import SimulatedNets

M = TypeVar("M", bound=Model)

_BATCH = 8
_BATCHES = 60
_ROUNDS = 3


def kafka_costs(frames: Sequence[Frame], faces: Sequence[Face], shipped: KafkaCosts) -> KafkaCosts:
    """Measured with these frames and faces; `shipped` where there is no broker."""
    try:
        broker = launch_broker()
    except ServerUnavailableError as error:
        sys.stderr.write(f"Kafka was not measured: {error}\n")
        return shipped
    try:
        return _measured(broker.bootstrap_servers, frames, faces)
    finally:
        broker.close()


def _measured(servers: str, frames: Sequence[Frame], faces: Sequence[Face]) -> KafkaCosts:
    nets = SimulatedNets(0.0)
    classified = ClassifyStage(nets, load_calibration("default")).classify(faces)
    results = [r for one in classified if isinstance(one, Done) for r in one.outputs]
    alone = track_update()
    visit = track_summary("mi7x4k2p1-1", seconds=12.4, frames=61, votes_sent=5)
    both = track_update(visit)
    track_updates = [track_update(frame=frame_info(f"cam{number}")) for number in range(len(results))]
    return KafkaCosts(
        frame=_message_costs(servers, FRAMES, frames),
        face=_message_costs(servers, FACES, faces),
        track_update=_message_costs(servers, RESULTS, track_updates),
        result=_message_costs(servers, RESULTS, results),
        track_summary_bytes=_size(RESULTS.codec, both) - _size(RESULTS.codec, alone),
        state_bytes=_state_bytes(0),
        state_track_bytes=_state_bytes(1) - _state_bytes(0),
        batch_wait_ms=_batch_wait_ms(servers, frames, faces),
    )


def _size(codec: AnyCodec[M], message: M) -> int:
    return codec.encode(message).size_bytes


def _settings(servers: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=servers, topic_prefix=f"{uuid.uuid4().hex[:8]}-", partitions=4)


def _message_costs(servers: str, topic: Topic[M], messages: Sequence[M]) -> MessageCosts:
    kafka = _settings(servers)
    output: KafkaOutput[M] = KafkaOutput(topic, kafka)
    until_done(output.open)
    until_done(lambda: output.write(messages[:1]))
    write_s = read_s = float("inf")
    for _ in range(_ROUNDS):
        started_s = time.process_time()
        for start in range(0, len(messages), _BATCH):
            some = messages[start : start + _BATCH]
            until_done(lambda some=some: output.write(some))  # type: ignore[misc]
        write_s = min(write_s, (time.process_time() - started_s) / len(messages))
    output.close()
    source = KafkaSource(topic, "readers", kafka)
    until_done(source.open)
    while not source.poll(1, 0.5):
        pass
    for _ in range(_ROUNDS - 1):
        started_s, number = time.process_time(), 0
        while number < len(messages):
            number += len(source.poll(_BATCH, 0.5))
        read_s = min(read_s, (time.process_time() - started_s) / number)
    source.close()
    sizes = [topic.codec.encode(one).size_bytes for one in messages]
    return MessageCosts(size_bytes=sum(sizes) / len(sizes), write_ms=write_s * 1000, read_ms=read_s * 1000)


def _state_bytes(visits: int) -> int:
    """Of a camera before which these have been for half a minute."""
    camera = CameraTracks()
    for number in range(150):
        info = frame_info("cam1", "mi7x4k2p1", number, 1_700_000_000.0 + number / 5)
        camera.update(info, [(200.0 * n + 0.3 * number, 80.0, 200.0 * n + 60, 140.0) for n in range(visits)])
        if camera.is_update_due:
            camera.take_update(info, info.captured_at_s)
    return _size(CHECKPOINTS.codec, camera.checkpoint())


def _batch_wait_ms(servers: str, frames: Sequence[Frame], faces: Sequence[Face]) -> float:
    """What detect waits for after each batch; half of all batches wait for less."""
    kafka = _settings(servers)
    frame_output: KafkaOutput[Frame] = KafkaOutput(FRAMES, kafka)
    until_done(frame_output.open)
    small = [one.model_copy(update={"jpeg": b"x"}) for one in frames[:50]]
    for _ in range(_BATCHES * _BATCH // len(small) + 1):
        until_done(lambda: frame_output.write(list(small)))
    frame_output.close()
    face_output: KafkaOutput[Face | TrackUpdate] = KafkaOutput(FACES, kafka)
    until_done(face_output.open)
    changelog, assignment = KafkaChangelog(CHECKPOINTS, kafka), Assignment(frozenset(range(4)), 4)
    source = KafkaSource(FRAMES, "detect", kafka)
    until_done(source.open)
    changelog.read(assignment)
    camera = CameraTracks()
    info = frame_info()
    camera.update(info, ())
    camera.take_update(info, info.captured_at_s)
    state = camera.checkpoint()
    took_s: list[float] = []
    while len(took_s) < _BATCHES:
        if not source.poll(_BATCH, 0.5):
            continue
        started_s = time.perf_counter()
        until_done(lambda: face_output.write(list(faces[:2])))
        until_done(lambda: changelog.write([state]))
        until_done(source.commit)
        took_s.append(time.perf_counter() - started_s)
    for end in (source, face_output, changelog):
        end.close()
    return sorted(took_s)[len(took_s) // 2] * 1000
