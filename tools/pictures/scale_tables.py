"""The tables of docs/scale.md that a plan gives: each between two comments, which name it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agegender.commands.plan.check import check_plan, usual_delay
from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand
from agegender.commands.plan.plan import Plan, make_plan
from agegender.commands.plan.tables import TableGrid, check_grid, markdown, plan_grids

DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"
CAMERAS = (10, 200, 5_000)

_TABLE = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def with_tables(text: str, constants: Constants) -> str:
    """The document with each of its tables made anew."""
    made = tables(constants)
    return _TABLE.sub(lambda found: found[1] + made[found[2]]() + found[3], text)


def tables(constants: Constants) -> Mapping[str, Callable[[], str]]:
    """Name → what makes the table."""
    return {
        "plans": lambda: markdown(summary(constants)),
        "costs": lambda: markdown(plan_grids(make_plan(Demand(200), constants))["What costs most"]),
        "limits": lambda: markdown(plan_grids(make_plan(Demand(200), constants))["What breaks first"]),
        "played": lambda: markdown(check_grid(check_plan(make_plan(Demand(200), constants), constants))),
        "constants": lambda: markdown(constants_grid(constants)),
    }


def summary(constants: Constants) -> TableGrid:
    """The plans of the document side by side."""
    plans = [make_plan(Demand(cameras, gpu=gpu), constants) for cameras in CAMERAS for gpu in (False, True)]
    heading = ["", *(f"{one.demand.cameras:,}{', GPU' * one.demand.gpu}" for one in plans)]
    columns = [_column(one, constants) for one in plans]
    return TableGrid(heading, [[name, *(column[name] for column in columns)] for name in columns[0]])


def _column(plan: Plan, constants: Constants) -> Mapping[str, str]:
    detect, delay = plan.workers["detect"], usual_delay(plan, constants)
    memory_gb = sum(one.workers * one.memory_mb_each for one in plan.workers.values()) / 1000
    partitions = {one.name: one.partitions for one in plan.topics}
    return {
        "systems, of so many cameras each": f"{plan.systems} of {plan.cameras_each:,}",
        "ingest: workers of 1 core": str(plan.workers["ingest"].workers),
        "detect: workers, cores each": f"{detect.workers} of {detect.cores_each}",
        "classify: workers of 1 core": str(plan.workers["classify"].workers),
        "GPUs": str(plan.gpus),
        "sink: workers of 1 core": str(plan.workers["sink"].workers),
        "memory of all workers": f"{memory_gb:,.1f} GB",
        "partitions of frames, faces, results": ", ".join(
            str(partitions[name]) for name in ("frames", "faces", "results")
        ),
        "partitions of cameras": str(plan.camera_partitions),
        "Kafka: brokers": str(plan.broker.brokers),
        "Kafka: network in, out": f"{plan.broker.in_mb_s:,.0f}, {plan.broker.out_mb_s:,.0f} MB/s",
        "Kafka: disk": f"{plan.broker.disk_gb:,.0f} GB",
        "Redis: memory, busy": f"{plan.redis.memory_gb:,.2f} GB, {plan.redis.busiest:.0%}",
        "cores of workers, all systems": f"{plan.cores:,}",
        "delay: half, 99 of 100": f"{delay.median_s:.1f}, {delay.p99_s:.1f} s",
        "breaks first, at times the cameras": f"{plan.limits[0].what}: {plan.limits[0].times:.1f}",
    }


def constants_grid(constants: Constants) -> TableGrid:
    """What was measured."""
    kafka, store, memory = constants.kafka, constants.store, constants.memory
    rows: Sequence[tuple[str, float, str]] = [
        ("ingest: decoding a frame of a stream", constants.ingest.decode_ms, "CPU ms"),
        ("ingest: picking, shrinking, JPEG", constants.ingest.pick_ms + constants.ingest.encode_ms, "CPU ms"),
        ("detect: a frame", constants.detect.frame_ms, "CPU ms"),
        ("detect: each face in it", constants.detect.face_ms, "CPU ms"),
        ("classify: a face", constants.classify.face_ms, "CPU ms"),
        ("classify: a face, without the nets", constants.classify.host_ms, "CPU ms"),
        ("Kafka: a frame there and back", kafka.frame.write_ms + kafka.frame.read_ms, "CPU ms"),
        ("Kafka: a face there and back", kafka.face.write_ms + kafka.face.read_ms, "CPU ms"),
        ("Kafka: the end of a batch", kafka.batch_wait_ms, "ms"),
        ("a frame", kafka.frame.size_bytes / 1000, "kB"),
        ("a face", kafka.face.size_bytes / 1000, "kB"),
        ("a result", kafka.result.size_bytes / 1000, "kB"),
        ("sink: a message, each of another camera", store.message_ms, "ms"),
        ("Redis: the same", store.redis_ms, "CPU ms"),
        ("Redis: a camera", store.camera_bytes / 1e6, "MB"),
        ("Redis: a person", store.visit_bytes / 1000, "kB"),
        ("ingest: a camera in memory", memory.ingest_camera_mb, "MB"),
    ]
    return TableGrid(("what", "measured", ""), [(what, f"{value:.3g}", unit) for what, value, unit in rows])
