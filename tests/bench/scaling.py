"""`make bench-scaling`: does twice the workers do twice the work?

Classify and detect workers, processes of the real services, share a topic of a real broker. Only their
inference is a device that takes a fixed time, so that a machine of two cores can feed eight of them. While
all have work, what they give is counted by the broker's clock. Then one is killed, one joins and one leaves,
and in the end everything that was sent must have come out once.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.embedded_store import EmbeddedStore
from shared.settings import KafkaSettings
from tests.support.cpu_time import busy_cores
from tests.support.kafka_broker import launch_broker
from tests.support.scaling import KINDS, Crew, Fate, Kind, fate, given, send, wait_until_done

BATCH: dict[Kind, int] = {"classify": 32, "detect": 8}
"""Messages that a worker takes at once, as the settings come."""
_AFTERWARDS_S = 12.0


@dataclass(frozen=True)
class Run:
    """One number of workers."""

    service: Kind
    workers: int
    a_second: float
    busy_cores: float
    """Of the whole machine, the broker and everything else included."""
    fate: Fate


def run(kind: Kind, workers: int, kafka: KafkaSettings, batch_s: float, window_s: float, folder: Path) -> Run:
    """Measures that many workers, then disturbs them."""
    number = int(workers * BATCH[kind] / batch_s * (window_s + _AFTERWARDS_S))
    send(kind, kafka, number)
    # Classify asks its device once for a batch, detect once for each frame.
    device_s = batch_s if kind == "classify" else batch_s / BATCH[kind]
    with Crew(kind, kafka, device_s * 1000, folder).running(workers) as crew:
        crew.wait_until_all_work()
        with busy_cores() as busy:
            from_s = time.time()
            time.sleep(window_s)
            until_s = time.time()
        crew.join()
        crew.die()
        if workers > 1:
            crew.leave()
        wait_until_done(kind, kafka, number, 300)
    records = given(kind, kafka)
    done = sum(from_s <= record.appended_at_s < until_s for record in records)
    with EmbeddedStore(folder / "store") as store:
        return Run(kind, workers, done / window_s, busy(), fate(kind, number, records, store.url))


def table_of(runs: Sequence[Run], partitions: int) -> Table:
    """For people."""
    table = Table(title=f"{partitions} partitions", title_justify="left")
    columns = (
        "service",
        "workers",
        "a second",
        "of linear",
        "busy cores",
        "sent",
        "lost",
        "repeated",
        "doubled",
    )
    for name in columns:
        table.add_column(name, justify="left" if name == "service" else "right")
    for one in runs:
        alone = next(other for other in runs if other.service == one.service)
        share = one.a_second / alone.a_second * alone.workers / one.workers
        counted = [one.fate.sent, one.fate.lost, one.fate.repeated, one.fate.doubled]
        figures = [f"{one.a_second:.1f}", f"{share:.3f}", f"{one.busy_cores:.2f}"]
        table.add_row(one.service, str(one.workers), *figures, *(str(number) for number in counted))
    return table


def main() -> int:
    """Returns the exit status: 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--services", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--partitions", type=int, default=KafkaSettings().partitions)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is measured")
    parser.add_argument("--batch", type=float, default=1.0, help="seconds of the device for each batch")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    broker = launch_broker()
    runs: list[Run] = []
    try:
        for kind in arguments.services:
            for workers in arguments.workers:
                kafka = KafkaSettings(
                    bootstrap_servers=broker.bootstrap_servers,
                    topic_prefix=f"{uuid.uuid4().hex[:8]}-",
                    partitions=arguments.partitions,
                )
                with tempfile.TemporaryDirectory(prefix="agegender-scaling-") as folder:
                    runs.append(run(kind, workers, kafka, arguments.batch, arguments.seconds, Path(folder)))
                sys.stderr.write(f"{runs[-1]}\n")
    finally:
        broker.close()
    if arguments.json:
        sys.stdout.writelines(json.dumps(asdict(one)) + "\n" for one in runs)
    else:
        Console(width=110).print(table_of(runs, arguments.partitions))
    return int(any(one.fate.lost or one.fate.doubled for one in runs))


if __name__ == "__main__":
    sys.exit(main())
