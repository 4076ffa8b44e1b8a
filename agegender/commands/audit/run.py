"""One audit: asks the workers, Kafka and the store until the numbers have settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from agegender.commands.audit.counters import Counters, scrape, scrape_those_that_answer
from agegender.commands.audit.counting import count_all
from agegender.commands.audit.evidence import gather
from agegender.commands.audit.one_process import balances_of_one_process
from agegender.commands.audit.prometheus import counters_with_history
from agegender.commands.audit.report import Report
from agegender.commands.kafka_client import kafka_reader
from agegender.commands.process import start_process, time_option
from agegender.shared.errors import SettingsError
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import connect

_USUAL = tuple(f"http://127.0.0.1:{port}/metrics" for port in (9100, 9101, 9102, 9103, 9104))
_LOOKS = 4
_PAUSE_S = 1.0
_HINT = "The counters of workers that have ended are missing here; --prometheus adds them."
_LONGEST_S = min(FRAMES.retention_s, FACES.retention_s)


def run_audit(addresses: Sequence[str] | None, prometheus: str | None, since: str, tz: str | None) -> Report:
    """The report on what is in the topics since a time.

    Args:
        addresses: of the workers' /metrics; None: the workers on this machine.
        prometheus: address of a Prometheus that scrapes the workers.
        since: the start of the window, as the user gave it.
        tz: the name of its time zone; None: local time.

    Raises:
        NotNow: Kafka, Redis or a worker does not answer.
        SettingsError: an address or a time is malformed.
    """
    start_process()
    report = settled(lambda: _look(addresses, prometheus, _window_s(since, tz)))
    return report if report.balanced or prometheus is not None else report.with_note(_HINT)


def settled(look: Callable[[], Report], looks: int = _LOOKS, pause_s: float = _PAUSE_S) -> Report:
    """The first report that balances, or else the last of `looks`.

    A worker counts a message a moment after it wrote it. The next look finds it counted; a real loss stays.
    """
    for _ in range(looks - 1):
        report = look()
        if report.balanced:
            return report
        time.sleep(pause_s)
    return look()


def _look(addresses: Sequence[str] | None, prometheus: str | None, window_s: float) -> Report:
    def counters() -> Counters:
        if prometheus is not None:
            return counters_with_history(prometheus, addresses, window_s)
        return scrape(addresses) if addresses else scrape_those_that_answer(_USUAL)

    first = counters()
    if first.one_process:
        return Report(balances_of_one_process(first))
    kafka = KafkaSettings.load()
    with kafka_reader(kafka, "an audit") as reader, connect(RedisSettings.load()) as client:
        return Report.of(count_all(gather(reader, kafka, client, counters, window_s)))


def _window_s(since: str, tz: str | None) -> float:
    now_s = time.time()
    since_s = time_option("--since", since, tz, now_s)
    window_s = now_s - since_s
    if not 0 < window_s <= _LONGEST_S:
        raise SettingsError(
            f"--since: expected a time within the last {_LONGEST_S // 60} minutes, which Kafka keeps, "
            f"got {since!r}"
        )
    return window_s
