"""Workers with a simulated device on a real broker, the load for them, and what became of it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from kafka.partitioner import murmur2

from agegender.services.sink.config import SinkSettings
from agegender.shared.images.pictures import encode_jpeg
from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.reader import KafkaReader, StoredMessage
from agegender.shared.kafka.topics import FACES, FRAMES, RESULTS
from agegender.shared.messages.pipeline import Face, Frame, Model, Result, TrackUpdate
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store import CameraKeys
from tests.support.kafka_frames import until_done
from tests.support.made_messages import face_info, frame, frame_info
from tests.support.services import Service
from tests.support.sink import opened_sink
from tests.support.waiting import wait_until

M = TypeVar("M", bound=Model)
Kind = Literal["classify", "detect"]
KINDS: tuple[Kind, ...] = ("classify", "detect")

_WRITTEN_AT_ONCE = 2_000
_POSITIVE = 0x7FFFFFFF  # Kafka's clients leave the sign of the hash out
_STARTED_AT_S = 1_700_000_000.0
_FRAMES_A_SECOND = 5.0


@dataclass(frozen=True)
class Fate:
    """What became of all that was sent."""

    sent: int
    lost: int
    repeated: int
    """Records that say once more what was said, as they may after a crash: they carry the same ids."""
    doubled: int
    """Records that say something else of a frame than others do, and what the store has too much."""


class Crew:
    """Workers of one service, each a process, that share a topic under names of their own.

    Args:
        device_ms: how long the simulated device takes for each batch of classify or frame of detect.
        folder: holds the logs.
        more_settings: of the service.
    """

    def __init__(
        self, kind: Kind, kafka: KafkaSettings, device_ms: float, folder: Path, **more_settings: str
    ) -> None:
        self._more_settings = more_settings
        self._kind, self._kafka, self._device_ms, self._folder = kind, kafka, device_ms, folder
        self._names = (f"{kind}-{number}" for number in itertools.count(1))
        self.workers: list[Service] = []
        self.retired: list[Service] = []

    @contextlib.contextmanager
    def running(self, number: int) -> Iterator[Crew]:
        """So many of them, all ended at the end of the block."""
        try:
            for _ in range(number):
                self.join()
            for worker in self.workers:
                worker.wait_until_ready()
            yield self
        finally:
            for worker in (*self.workers, *self.retired):
                worker.close()

    def join(self) -> None:
        """One more starts."""
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": self._kafka.topic_prefix,
            "KAFKA_PARTITIONS": str(self._kafka.partitions),
            "KAFKA_SESSION_TIMEOUT_S": str(self._kafka.session_timeout_s),
        }
        # One answer for each message, and the device is asked once for each batch or frame.
        settings |= {"CLASSIFY_NETS": "fast"} if self._kind == "classify" else {"DETECT_SELECTION": "all"}
        settings |= self._more_settings
        program = ["tests.support.device_worker", self._kind, f"{self._device_ms:g}"]
        worker = Service(self._kind, settings, self._folder, worker=next(self._names), program=program)
        self.workers.append(worker.start())

    def leave(self) -> None:
        """The oldest worker ends as an orchestrator ends it."""
        worker = self.workers.pop(0)
        worker.stop()
        self.retired.append(worker)

    def die(self) -> None:
        """The oldest worker is killed."""
        worker = self.workers.pop(0)
        worker.kill()
        self.retired.append(worker)

    def wait_until_all_work(self, timeout_s: float = 60.0) -> None:
        """Until each has sent something."""
        for worker in self.workers:
            wait_until(lambda worker=worker: sent_by(worker) > 0, timeout_s, f"{worker.name} works")  # type: ignore[misc]


def sent_by(worker: Service) -> float:
    """How many messages the worker has sent so far."""
    return worker.metric("agegender_messages_sent_total")


def even_cameras(partitions: int, rest_of_key: str = "") -> list[str]:
    """One camera for each partition of a topic, with the name and the rest as key."""
    found: dict[int, str] = {}
    for number in itertools.count():
        name = f"cam{number}"
        found.setdefault((murmur2(f"{name}{rest_of_key}".encode()) & _POSITIVE) % partitions, name)
        if len(found) == partitions:
            break
    return [found[one] for one in range(partitions)]


def send(kind: Kind, kafka: KafkaSettings, number: int) -> None:
    """Writes so many faces or frames, as many to each partition as to any other."""
    if kind == "classify":
        write(KafkaOutput(FACES, kafka), made_faces(kafka.partitions, number))
    else:
        write(KafkaOutput(FRAMES, kafka), made_frames(kafka.partitions, number))


def write(output: KafkaOutput[M], messages: Sequence[M]) -> None:
    """Opens the topic, writes the messages to it, and closes it."""
    with contextlib.closing(output):
        for start in range(0, len(messages), _WRITTEN_AT_ONCE):
            some = messages[start : start + _WRITTEN_AT_ONCE]
            until_done(lambda some=some: output.write(some))  # type: ignore[misc]


def made_faces(partitions: int, number: int) -> list[Face | TrackUpdate]:
    """This number of faces without a track, for each partition in turn."""
    chip_jpeg = encode_jpeg(_gradient(160, 160), 85)
    cameras = even_cameras(partitions, "/0")
    return [_face(cameras, one, chip_jpeg) for one in range(number)]


def made_frames(partitions: int, number: int) -> list[Frame]:
    """So many frames, each partition's in turn."""
    jpeg = encode_jpeg(_gradient(320, 180), 85)
    cameras = even_cameras(partitions)
    return [_frame(cameras, one, jpeg) for one in range(number)]


def _gradient(width_px: int, height_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    row = np.linspace(0, 255, width_px, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height_px, width_px, 3)))


def _face(cameras: Sequence[str], number: int, chip_jpeg: bytes) -> Face:
    sequence, camera = divmod(number, len(cameras))
    info = frame_info(cameras[camera], sequence=sequence, captured_at_s=_time_s(sequence))
    return Face(info=face_info(info), chip_jpeg=chip_jpeg)


def _frame(cameras: Sequence[str], number: int, jpeg: bytes) -> Frame:
    sequence, camera = divmod(number, len(cameras))
    made = frame(cameras[camera], sequence, jpeg=jpeg)
    size = {"captured_at_s": _time_s(sequence), "width_px": 320, "height_px": 180}
    return made.model_copy(update={"info": made.info.model_copy(update=size)})


def _time_s(sequence: int) -> float:
    return _STARTED_AT_S + sequence / _FRAMES_A_SECOND


def committed(kind: Kind, kafka: KafkaSettings) -> int:
    """How many of the messages the group has done."""
    topic = FACES if kind == "classify" else FRAMES
    found = committed_offsets(kafka, kafka.topic_prefix + kind, kafka.topic_prefix + topic.name)
    return sum(found.values())


def given(kind: Kind, kafka: KafkaSettings) -> list[StoredMessage]:
    """All that came of the messages so far, track updates left out."""
    topic = kafka.topic_prefix + (RESULTS if kind == "classify" else FACES).name
    with KafkaReader(kafka) as reader:
        return [record for record in reader.read(topic, {}, reader.ends(topic)) if _answer(kind, record)]


def _answer(kind: Kind, record: StoredMessage) -> Face | Result | None:
    topic = RESULTS if kind == "classify" else FACES
    message = topic.codec.decode(record.encoded)
    return message if isinstance(message, Face | Result) else None


def face_id_of(message: Face | TrackUpdate | Result) -> str | None:
    """Of a face or of its result; track updates have none."""
    if isinstance(message, Result):
        return message.face.face_id
    return message.info.face_id if isinstance(message, Face) else None


def fate(kind: Kind, sent: int, records: Sequence[StoredMessage], store_url: str | None) -> Fate:
    """What became of `sent` messages, each of which has one face.

    Args:
        store_url: an empty store, into which a sink writes the results; None: it is not asked.
    """
    answers = [answer for record in records if (answer := _answer(kind, record)) is not None]
    said = {(_frame_id(one), _undated(one)) for one in answers}
    frames = {frame_id for frame_id, _ in said}
    doubled = len(said) - len(frames)
    if store_url is not None and kind == "classify":
        doubled += stored_results(records, store_url) - len({face_id_of(one) for one in answers})
    return Fate(sent, sent - len(frames), len(answers) - len(said), doubled)


def _frame_id(answer: Face | Result) -> str:
    return (answer.info if isinstance(answer, Face) else answer.face).frame.frame_id


def _undated(answer: Face | Result) -> Face | Result:
    """All that it says but when: the same worker's work done twice is done at two times."""
    if isinstance(answer, Result):
        return answer.model_copy(update={"classified_at_s": 0.0})
    return answer.model_copy(update={"info": answer.info.model_copy(update={"detected_at_s": 0.0})})


def stored_results(records: Sequence[StoredMessage], store_url: str) -> int:
    """How many results the store at this address holds after a sink has written all of these."""
    limits = SinkSettings(results_per_camera=len(records), remembered_faces=max(1_000, len(records)))
    results = [RESULTS.codec.decode(record.encoded) for record in records]
    with opened_sink(store_url, limits) as sink:
        for start in range(0, len(results), limits.batch_messages):
            sink.output.write(results[start : start + limits.batch_messages])
        cameras = {one.camera_id for one in results}
        return sum(int(sink.client.xlen(CameraKeys.of(camera).results)) for camera in cameras)


def wait_until_done(kind: Kind, kafka: KafkaSettings, number: int, timeout_s: float) -> None:
    """Until the group has done so many messages."""
    done: Callable[[], bool] = lambda: committed(kind, kafka) >= number  # noqa: E731
    wait_until(done, timeout_s, f"{kind} has done {number} messages")
