"""`python -m benchmarks.planning.delays`: does the simulation tell the truth?

A real classify worker with a simulated device, on a real broker, gets faces at random moments, more and more
of them. For each face the broker's clock tells when it came and when its result did. The same moments are
given to the simulated worker of `agegender plan`, and the delays of both are shown side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.queues import Server, Times, serve
from agegender.services.classify.config import ClassifySettings
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.kafka.topics import FACES, RESULTS
from agegender.shared.messages.pipeline import Face, TrackUpdate
from agegender.shared.process.settings import KafkaSettings
from tests.support.kafka_broker import launch_broker
from tests.support.scaling import Crew, face_id_of, made_faces, wait_until_done

_WARM = 3


@dataclass(frozen=True)
class Compared:
    """One load: of what a worker can do at most, and the delays of both in seconds."""

    load: float
    faces: int
    real_median_s: float
    real_p99_s: float
    simulated_median_s: float
    simulated_p99_s: float


def measure(
    load: float, device_s: float, wait_s: float, seconds: float, kafka: KafkaSettings, folder: Path
) -> Compared:
    """Runs both."""
    server = _server(device_s, wait_s)
    rate = load * server.capacity
    moments_s = np.cumsum(np.random.default_rng(5).exponential(1 / rate, int(rate * seconds)))
    faces = made_faces(kafka.partitions, len(moments_s) + _WARM)
    output: KafkaOutput[Face | TrackUpdate] = KafkaOutput(FACES, kafka)
    crew = Crew("classify", kafka, device_s * 1000, folder, CLASSIFY_BATCH_WAIT_S=str(wait_s))
    with contextlib.closing(output), crew.running(1):
        output.write(faces[:_WARM])
        crew.wait_until_all_work()
        _send(output, faces[_WARM:], moments_s)
        wait_until_done("classify", kafka, len(faces), 300)
    came_s, took_s = _delays(kafka)
    simulated_s = serve(came_s, server) - came_s
    quantiles = [float(np.quantile(one, share)) for one in (took_s, simulated_s) for share in (0.5, 0.99)]
    return Compared(load, len(took_s), *quantiles)


def _server(device_s: float, wait_s: float) -> Server:
    classify, constants = ClassifySettings(), Constants.load()
    host_ms = constants.kafka.face.read_ms + constants.classify.host_ms + constants.kafka.result.write_ms
    return Server(
        limit=classify.batch_messages,
        message_s=host_ms / 1000,
        batch_s=constants.kafka.batch_wait_ms / 1000,
        wait_s=wait_s,
        device_s=device_s,
        device_limit=classify.batch_messages,
    )


def _send(
    output: KafkaOutput[Face | TrackUpdate], faces: Sequence[Face | TrackUpdate], moments_s: Times
) -> None:
    started_s, sent = time.monotonic(), 0
    while sent < len(faces):
        due = int(np.searchsorted(moments_s, time.monotonic() - started_s))
        if due > sent:
            output.write(list(faces[sent:due]))
            sent = due
        else:
            time.sleep(0.002)


def _delays(kafka: KafkaSettings) -> tuple[Times, Times]:
    """When each face came, in order, and how long its result took; without those that came first."""
    with KafkaReader(kafka) as reader:
        times_s: list[dict[str, float]] = []
        for topic in (FACES, RESULTS):
            name, found = kafka.topic_prefix + topic.name, dict[str, float]()
            for record in reader.read(name, {}, reader.ends(name)):
                found[str(face_id_of(topic.codec.decode(record.encoded)))] = record.appended_at_s
            times_s.append(found)
    came, done = times_s
    ordered = sorted(came, key=lambda one: came[one])[_WARM:]
    came_s = np.array([came[one] for one in ordered])
    return came_s, np.array([done[one] for one in ordered]) - came_s


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=float, nargs="+", default=[0.3, 0.6, 0.8, 0.95, 1.2])
    parser.add_argument("--device", type=float, default=0.5, help="seconds of the device for each batch")
    usual_s = ClassifySettings().batch_wait_s
    parser.add_argument("--wait", type=float, default=usual_s, help="seconds that a batch waits for more")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long faces come")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    found: list[Compared] = []
    broker = launch_broker()
    try:
        for load in arguments.loads:
            prefix = f"{uuid.uuid4().hex[:8]}-"
            kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topic_prefix=prefix)
            with tempfile.TemporaryDirectory(prefix="agegender-delays-") as folder:
                found.append(
                    measure(load, arguments.device, arguments.wait, arguments.seconds, kafka, Path(folder))
                )
            sys.stderr.write(f"{found[-1]}\n")
    finally:
        broker.close()
    if arguments.json:
        sys.stdout.writelines(json.dumps(asdict(one)) + "\n" for one in found)
        return 0
    table = Table(title=f"One worker, a device of {arguments.device:g} s a batch", title_justify="left")
    for name in ("load", "faces", "real: half", "99 of 100", "simulated: half", "99 of 100"):
        table.add_column(name, justify="right")
    for one in found:
        seconds = (one.real_median_s, one.real_p99_s, one.simulated_median_s, one.simulated_p99_s)
        table.add_row(f"{one.load:.0%}", str(one.faces), *(f"{value:.2f} s" for value in seconds))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
