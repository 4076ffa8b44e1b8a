"""A plan for people, and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from agegender.commands.plan.check import Check
from agegender.commands.plan.constants import Constants
from agegender.commands.plan.plan import Plan
from agegender.commands.plan.workers import classify_batch
from agegender.shared.process.settings import KafkaSettings

_LIMITS_SHOWN = 4
_OF_A_SYSTEM = ("Workers", "Topics", "Servers")


class TableGrid(NamedTuple):
    """A table as plain text: drawn on a terminal by rich, in documents as Markdown."""

    heading: Sequence[str]
    """Of the columns; the first one is for words, the others are for figures."""
    rows: Sequence[Sequence[str]]


def plan_grids(plan: Plan) -> Mapping[str, TableGrid]:
    """Title → table."""
    grids = {
        "Workers": _workers(plan),
        "Topics": _topics(plan),
        "Servers": _servers(plan),
        "What costs most": TableGrid(
            ("work", "of all CPU time"), [(name, f"{share:.1%}") for name, share in plan.drivers.items()]
        ),
        "What breaks first": TableGrid(
            ("limit", "at so many times the cameras"),
            [(one.what, f"{one.times:.1f}") for one in plan.limits[:_LIMITS_SHOWN]],
        ),
    }
    if plan.systems == 1:
        return grids
    each = f", for each of {plan.systems} systems"
    return {title + each * (title in _OF_A_SYSTEM): one for title, one in grids.items()}


def _workers(plan: Plan) -> TableGrid:
    rows = [
        (
            name,
            str(one.workers),
            str(one.cores_each),
            f"{one.memory_mb_each:,.0f} MB",
            f"{one.load_cores:,.1f}",
            f"{one.busiest:.0%}",
        )
        for name, one in plan.workers.items()
    ]
    heading = ("service", "workers", "cores each", "memory each", "cores of work", "busiest worker")
    return TableGrid(heading, rows)


def _topics(plan: Plan) -> TableGrid:
    rows = [
        (one.name, str(one.partitions), f"{one.in_mb_s:,.2f} MB/s", f"{one.disk_gb:,.1f} GB")
        for one in plan.topics
    ]
    rows.append(("cameras", str(plan.camera_partitions), "", ""))
    return TableGrid(("topic", "partitions", "written", "disk, with copies"), rows)


def _servers(plan: Plan) -> TableGrid:
    broker, redis = plan.broker, plan.redis
    rows = [
        ("Kafka: brokers", str(broker.brokers)),
        ("Kafka: network in, all brokers", f"{broker.in_mb_s:,.0f} MB/s"),
        ("Kafka: network out, all brokers", f"{broker.out_mb_s:,.0f} MB/s"),
        ("Kafka: disk, all brokers", f"{broker.disk_gb:,.0f} GB"),
        ("Redis: memory", f"{redis.memory_gb:,.2f} GB"),
        ("Redis: persons kept", f"{redis.visits_kept:,}"),
        ("Redis: busy", f"{redis.busiest:.0%}"),
    ]
    if plan.demand.gpu:
        rows.append(("GPUs", str(plan.gpus)))
    return TableGrid(("server", "needs"), rows)


def sentences(plan: Plan, constants: Constants, usual: Check) -> Iterator[str]:
    """What stands above and below the tables."""
    demand, rate = plan.demand, plan.rates
    width_px, height_px = demand.stream_wh
    yield (
        f"{demand.cameras:,} cameras of {width_px} x {height_px} px at {demand.stream_fps:g} frames a "
        f"second, {demand.fps:g} of them looked at; {demand.faces:g} people before each, for "
        f"{demand.stay_s:g} s each, {demand.busy_hours:g} hours a day; headroom {demand.headroom:g}"
        + (", nets on GPUs." if demand.gpu else ".")
    )
    yield (
        f"{plan.cores:,} cores in all. From a frame to the store: half within {usual.median_s:.2f} s, "
        f"99 of 100 within {usual.p99_s:.2f} s. Of a person {rate.votes_per_visit} faces are classified, "
        f"of {demand.stay_s * demand.fps:,.0f}."
    )
    measured = constants.machine
    yield (
        f"By what {measured.cores} cores of {measured.processor} did on {measured.measured_on} "
        f"({measured.command})."
    )


def advice(plan: Plan, constants: Constants) -> Iterator[str]:
    """What to set for this plan, and what to know."""
    detect = plan.workers["detect"]
    if detect.cores_each > 1:
        yield (
            f"Set DETECT_THREADS={detect.cores_each}: cameras fall upon workers by their names, and large "
            "workers have more even shares."
        )
    for one in plan.workers.values():
        if one.cores_each > 1:
            yield (
                f"Give each worker of {one.service} its {one.cores_each} cores, in Kubernetes by the CPU "
                "requests and limits of its pods."
            )
    if plan.demand.gpu:
        batch = classify_batch(plan.demand, constants)
        yield f"Set CLASSIFY_DEVICE=gpu and CLASSIFY_BATCH_MESSAGES={batch}; {plan.gpus} GPU(s) for all."
    if plan.default_topics_suffice:
        yield f"The topics that the services make, with {KafkaSettings().partitions} partitions, suffice."
    else:
        most = max(one.partitions for one in plan.topics)
        yield f"Topics need more partitions than they get: set KAFKA_PARTITIONS={most} before the start;"
        yield f"where they exist, agegender topics apply --partitions {most} --raise-partitions."
    if plan.camera_partitions != KafkaSettings().camera_partitions:
        yield f"Set KAFKA_CAMERA_PARTITIONS={plan.camera_partitions} before the start: it is for good."
    if plan.demand.replication > 1:
        yield f"Set KAFKA_REPLICATION={plan.demand.replication} before the start."
    if plan.demand.kept_days != 1:
        yield f"Set SINK_TTL_S={plan.demand.kept_days * 86_400:.0f}."
    yield from plan.warnings


def drawn(title: str, grid: TableGrid) -> Table:
    """For a terminal."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for place, name in enumerate(grid.heading):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for row in grid.rows:
        table.add_row(*row)
    return table


def markdown(grid: TableGrid) -> str:
    """For a document."""
    lines = [grid.heading, ["---" if not place else "---:" for place in range(len(grid.heading))], *grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plan_record(plan: Plan) -> dict[str, object]:
    """For programs."""
    return {**asdict(plan), "cores": plan.cores, "default_topics_suffice": plan.default_topics_suffice}


def check_grid(checks: Sequence[Check]) -> TableGrid:
    """How a plan did when it was played through."""
    rows = [
        (
            one.what,
            *(_seconds(value) for value in (one.median_s, one.p99_s, one.worst_s, one.allowed_s)),
            _seconds(one.late_for_s) if one.late_for_s else "",
            "yes" if one.holds else "no",
        )
        for one in checks
    ]
    return TableGrid(("what", "half in", "99 of 100", "all", "allowed", "late for", "holds"), rows)


def _seconds(value: float) -> str:
    return "for ever" if math.isinf(value) else f"{value:.2f} s" if value < 100 else f"{value:.0f} s"
