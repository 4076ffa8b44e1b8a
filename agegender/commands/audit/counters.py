"""The counters of the workers, as their /metrics say them."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.secrets import mask

_ANSWER_S = 5.0
_MOST_AT_ONCE = 32
CAPTURED = "agegender_frames_captured_total"
CAPTURED_SINCE = "agegender_frames_captured_created"
SENT = "agegender_messages_sent_total"
RECEIVED = "agegender_messages_received_total"
DROPPED = "agegender_messages_dropped_total"
BUFFERED = "agegender_buffered_messages"
SKIPPED = "agegender_faces_skipped_total"
BAD = "agegender_messages_bad_total"
WRITTEN = "agegender_results_written_total"
REPEATED = "agegender_results_repeated_total"
READY = "agegender_ready_bool"
STARTED = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric."""

    name: str
    labels: Mapping[str, str]
    value: float
    unsure: float = 0.0
    """How much more it may have been: the last that was heard of a worker that has ended."""


@dataclass(frozen=True)
class Worker:
    """What one process says of itself, or last said. Its counters began at 0 when it started."""

    address: str
    samples: Sequence[Sample]
    ended: bool = False

    def values(self, name: str, **labels: str) -> Sequence[Sample]:
        """The samples called `name` with labels that include `labels`."""
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]

    @property
    def services(self) -> frozenset[str]:
        """The services that run in the process."""
        return frozenset(one.labels["service"] for one in self.values(READY))

    @property
    def started_at_s(self) -> float | None:
        """When the process began; None where it does not say."""
        return next((one.value for one in self.values(STARTED)), None)


class Counters:
    """The counters of all workers that are known, summed."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    def total(self, name: str, **labels: str) -> int:
        """The sum over all workers."""
        return round(sum(one.value for worker in self.workers for one in worker.values(name, **labels)))

    def unsure(self, name: str, **labels: str) -> int:
        """How much larger the sum may be."""
        return math.ceil(sum(one.unsure for worker in self.workers for one in worker.values(name, **labels)))

    def by_label(self, name: str, label: str, **labels: str) -> dict[str, int]:
        """The same by the values of a label."""
        sums: Counter[str] = Counter()
        for worker in self.workers:
            for one in worker.values(name, **labels):
                sums[one.labels[label]] += round(one.value)
        return dict(sums)

    def of(self, service: str) -> Sequence[Worker]:
        """The workers in which a service runs."""
        return [worker for worker in self.workers if service in worker.services]

    def complete_since_s(self, service: str) -> float | None:
        """From when on nothing is missing in the counters of a service: since the last of them started.

        None where no worker is known or one does not say when it began.
        """
        starts = [worker.started_at_s for worker in self.of(service)]
        known = [one for one in starts if one is not None]
        return max(known) if known and len(known) == len(starts) else None

    def captured_since_s(self, camera_id: str) -> float | None:
        """When the first of the workers that answered began to capture this camera, by its clock."""
        since = [
            one.value for worker in self.workers for one in worker.values(CAPTURED_SINCE, camera=camera_id)
        ]
        return min(since, default=None)

    @property
    def cameras(self) -> frozenset[str]:
        """All cameras that are counted."""
        return frozenset(
            one.labels["camera"]
            for worker in self.workers
            for one in worker.samples
            if "camera" in one.labels
        )

    def cameras_of(self, service: str) -> frozenset[str]:
        """The cameras with a series in the workers of a service. Those of removed cameras leave."""
        return Counters(self.of(service)).cameras

    @property
    def one_process(self) -> bool:
        """Whether the whole pipeline runs in one process, without Kafka."""
        everything = {"ingest", "detect", "classify", "sink"}
        return any(everything <= worker.services for worker in self.workers)


def scrape(addresses: Iterable[str]) -> Counters:
    """The counters of the workers at these addresses, each `http://host:port[/metrics]` or `host:port`.

    Raises:
        NotNow: one gives no answer.
        SettingsError: one is no address of a worker.
    """
    return Counters([_worker(address) for address in addresses])


def scrape_those_that_answer(addresses: Iterable[str]) -> Counters:
    """The same, without those at which nothing listens.

    All are asked in parallel: addresses of ended pods do not refuse, and each would be waited for in turn.
    """
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        return Counters([one for one in pool.map(_worker_if_there, addresses) if one is not None])


def _worker_if_there(address: str) -> Worker | None:
    try:
        return _worker(address)
    except NotNow:
        return None


def _worker(address: str) -> Worker:
    url = address if "://" in address else f"http://{address}"
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"expected http://host:port/metrics, got {mask(address)!r}")
    if url.count("/") == 2:
        url += "/metrics"
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310  (checked above)
            text = answer.read().decode()
        families = list(text_string_to_metric_families(text))
    except urllib.error.HTTPError as error:
        raise SettingsError(f"no metrics at {mask(url)}: the answer is {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError):
            raise SettingsError(f"what {mask(url)} answers are no metrics") from None
        raise NotNow(f"no answer from {mask(url)}") from None
    return Worker(url, [Sample(s.name, s.labels, s.value) for family in families for s in family.samples])
