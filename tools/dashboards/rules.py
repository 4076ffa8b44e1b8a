"""The rules of Prometheus, as far as it matters which metrics they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
_QUOTED = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OF_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")


@dataclass(frozen=True)
class Rules:
    """Names and expressions of the recording rules and of the alerts."""

    records: Mapping[str, str]
    alerts: Mapping[str, str]

    @classmethod
    def load(cls) -> Rules:
        """Those of `deploy/prometheus/rules`."""
        found = list(_rules())
        return cls(
            {one["record"]: one["expr"] for one in found if "record" in one},
            {one["alert"]: one["expr"] for one in found if "alert" in one},
        )

    def names_in(self, expr: str) -> frozenset[str]:
        """All words of an expression that may be metrics, also those behind its recording rules.

        Histograms go by the name that they were declared with.
        """
        words = set(_NAME.findall(_QUOTED.sub("", expr)))
        behind = [self.names_in(self.records[word]) for word in words & self.records.keys()]
        return frozenset(words | {_OF_HISTOGRAM.sub("", word) for word in words}).union(*behind)


def _rules() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]
