"""Whether a topic keeps its messages for longer than it should. Pure: `kafka_io` asks the broker.

Kafka deletes whole segments, and only closed ones: a topic that deletes late, closes its segments late or
never deletes by time keeps pictures of people for longer than is said to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

_SHORTEST_SEGMENT_MS = 60_000
_FOR_EVER = -1

POLICY = "cleanup.policy"
RETENTION = "retention.ms"
SEGMENT = "segment.ms"


class Deviation(NamedTuple):
    """A setting of a topic by which it keeps its messages for longer."""

    setting: str
    expected: str
    found: str


def retention_configs(retention_s: int) -> Mapping[str, str]:
    """The settings of a topic that keeps its messages for `retention_s`."""
    return {
        POLICY: "delete",
        RETENTION: str(retention_s * 1000),
        SEGMENT: str(max(_SHORTEST_SEGMENT_MS, retention_s * 1000 // 4)),
    }


def deviations(found: Mapping[str, str], retention_s: int) -> Iterator[Deviation]:
    """In what a topic with the settings `found` keeps its messages for longer; shorter is nobody's harm."""
    expected = retention_configs(retention_s)
    if "delete" not in found[POLICY].split(","):
        yield Deviation(POLICY, expected[POLICY], found[POLICY])
    for setting in (RETENTION, SEGMENT):
        time_ms = int(found[setting])
        if time_ms == _FOR_EVER or time_ms > int(expected[setting]):
            yield Deviation(setting, expected[setting], found[setting])
