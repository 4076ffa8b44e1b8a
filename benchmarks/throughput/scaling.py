"""`make bench-scaling`: does twice the workers do twice the work?

Classify and detect workers, processes of the real services, share a topic of a real broker. Only their
inference is a device that takes a fixed time, so that a machine of two cores can feed eight of them. While
all have work, what they give is counted by the broker's clock: n workers must do `LEAST_OF_LINEAR` of n times
the work of one. Then one is killed, one joins and one leaves, and in the end everything that was sent must
have come out once. What came once more, the same in id and content, is harmless and counted apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store.embedded import EmbeddedStore
from tests.support.cpu_time import busy_cores
from tests.support.kafka_broker import launch_broker
from tests.support.scaling import KINDS, Crew, Fate, Kind, fate, given, send, wait_until_done

BATCH: dict[Kind, int] = {"classify": 32, "detect": 8}
"""Messages that a worker takes at once, as the settings come."""
LEAST_OF_LINEAR = 0.95
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


def of_linear(one: Run, runs: Sequence[Run]) -> float:
    """Its work, as a share of that of as many workers as good as those of the service's first run."""
    first = next(other for other in runs if other.service == one.service)
    expected = first.a_second * one.workers / first.workers
    return one.a_second / expected if expected else 0.0


def complaints(runs: Sequence[Run]) -> Iterator[str]:
    """All that is not as it should be; nothing where twice the workers do twice the work, and do it once."""
    for one in runs:
        worker = f"{one.service}, {one.workers} workers"
        if one.fate.lost or one.fate.doubled:
            yield f"{worker}: {one.fate.lost} lost and {one.fate.doubled} doubled of {one.fate.sent}"
        share = of_linear(one, runs)
        if share < LEAST_OF_LINEAR:
            yield f"{worker}: {share:.3f} of linear, expected {LEAST_OF_LINEAR} or more"


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
        counted = [one.fate.sent, one.fate.lost, one.fate.repeated, one.fate.doubled]
        figures = [f"{one.a_second:.1f}", f"{of_linear(one, runs):.3f}", f"{one.busy_cores:.2f}"]
        table.add_row(one.service, str(one.workers), *figures, *(str(number) for number in counted))
    return table


def options() -> argparse.ArgumentParser:
    """Those of the command; the figures of docs/scale.md were made with them as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--services", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--partitions", type=int, default=KafkaSettings().partitions)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long each is measured")
    parser.add_argument("--batch", type=float, default=3.0, help="seconds of the device for each batch")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def main() -> int:
    """Returns the exit status: 1 where there are complaints."""
    arguments = options().parse_args()
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
        for one in runs:
            sys.stdout.write(json.dumps(asdict(one) | {"of_linear": of_linear(one, runs)}) + "\n")
    else:
        Console(width=110).print(table_of(runs, arguments.partitions))
    found = list(complaints(runs))
    sys.stderr.writelines(one + "\n" for one in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
