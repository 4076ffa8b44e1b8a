"""What workers that have ended had counted, as a Prometheus server remembers it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from agegender.commands.audit.counters import (
    BAD,
    BUFFERED,
    CAPTURED,
    CAPTURED_SINCE,
    DROPPED,
    READY,
    RECEIVED,
    REPEATED,
    SENT,
    SKIPPED,
    STARTED,
    WRITTEN,
    Counters,
    Sample,
    Worker,
    scrape_those_that_answer,
)
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.secrets import mask

_ANSWER_S = 10.0
_COUNTERS = (CAPTURED, SENT, RECEIVED, DROPPED, SKIPPED, BAD, WRITTEN, REPEATED)
_NAMES = (*_COUNTERS, BUFFERED, CAPTURED_SINCE, READY, STARTED)
_OF_PROMETHEUS = ("__name__", "job", "instance")
_NO_WORKER = "api"  # has no counter of the reconciliation, and may ask for a token


class _Series(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]]
    """Times of scrapes and what was read then."""


class _Data(BaseModel):
    result: list[_Series]


class _Answer(BaseModel):
    data: _Data


@dataclass(frozen=True, slots=True)
class _Life:
    """One process at one address, from its start to its end."""

    instance: str
    started_at_s: float


def counters_with_history(prometheus_url: str, addresses: Iterable[str] | None, window_s: float) -> Counters:
    """The counters of the workers that live, asked directly, and the last that was heard of those that ended.

    Args:
        prometheus_url: http://host:port
        addresses: of the workers that live; None: those that Prometheus asks.
        window_s: how far to look back.

    Raises:
        NotNow: Prometheus gives no answer.
        SettingsError: what answers is no Prometheus.
    """
    series = _ask(prometheus_url, window_s)
    ours = {one.metric.get("instance", "") for one in series if _is_of_a_worker(one.metric)}
    living = scrape_those_that_answer(sorted(ours) if addresses is None else addresses)
    starts = {worker.started_at_s for worker in living.workers}
    ended = [one for one in lives(series, ours) if one.started_at_s not in starts]
    return Counters([*living.workers, *ended])


def _is_of_a_worker(metric: Mapping[str, str]) -> bool:
    return metric.get("__name__") == READY and metric.get("service") != _NO_WORKER


def lives(series: Sequence[_Series], instances: Collection[str]) -> Sequence[Worker]:
    """Every process that there was at these addresses, with the last that it said.

    What it counted between the last scrape and its end is not known: at most about as much as between two
    scrapes before, which is said as `unsure`.
    """
    life_at: dict[tuple[str, float], _Life] = {}
    for one in series:
        instance = one.metric.get("instance", "")
        if one.metric.get("__name__") == STARTED and instance in instances:
            life_at |= {(instance, at_s): _Life(instance, value) for at_s, value in one.values}
    samples: dict[_Life, list[Sample]] = defaultdict(list)
    for one in series:
        for life, values in _by_life(one, life_at).items():
            samples[life].append(_last(one.metric, values))
    return [Worker(life.instance, found, ended=True) for life, found in samples.items()]


def _by_life(one: _Series, life_at: Mapping[tuple[str, float], _Life]) -> Mapping[_Life, Sequence[float]]:
    """All series of one scrape have the same time, by which the process is known that answered it."""
    found: dict[_Life, list[float]] = defaultdict(list)
    for at_s, value in one.values:
        life = life_at.get((one.metric.get("instance", ""), at_s))
        if life is not None:
            found[life].append(value)
    return found


def _last(metric: Mapping[str, str], values: Sequence[float]) -> Sample:
    name = metric["__name__"]
    labels = {key: value for key, value in metric.items() if key not in _OF_PROMETHEUS}
    steps = [after - before for before, after in zip([0.0, *values], values, strict=False)]
    # The first step is from the start on, where there is no other.
    unsure = max(steps[1:] or steps) if name in _COUNTERS else 0.0
    return Sample(name, labels, values[-1], unsure)


def _ask(prometheus_url: str, window_s: float) -> Sequence[_Series]:
    if not prometheus_url.startswith(("http://", "https://")):
        raise SettingsError(f"--prometheus: expected http://host:port, got {mask(prometheus_url)!r}")
    query = f'{{__name__=~"{"|".join(_NAMES)}"}}[{max(1, round(window_s))}s]'
    url = f"{prometheus_url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310  (checked above)
            found: Any = json.load(answer)
        return _Answer.model_validate(found).data.result
    except (urllib.error.HTTPError, ValueError, ValidationError):
        raise SettingsError(f"what answers at {mask(prometheus_url)} is no Prometheus") from None
    except OSError:
        raise NotNow(f"no answer from Prometheus at {mask(prometheus_url)}") from None
