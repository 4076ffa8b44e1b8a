"""What a person sees while the pipeline runs, and when it has ended."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agegender.commands.face_rows import face_label
from agegender.commands.run.pipeline import Pipeline
from agegender.commands.terminal import Name
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import AGE_BANDS, stream_began_at_s
from agegender.shared.messages.visits import Visit
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.runner import STOPPED
from agegender.shared.store import ResultStore, StoredResult

_RATE_OVER_S = 3.0
_THERE_NOW_CELLS = 20  # long names of cameras give way


class RunResults:
    """What a run has stored. Results of earlier runs, which may have the same cameras, are left out.

    Args:
        began_s: when the run began, in seconds since 1970 UTC by the clock that names its streams.
    """

    def __init__(self, store: ResultStore, began_s: float) -> None:
        self._store = store
        self._began_s = int(began_s * 1000) / 1000  # as precise as the names of streams

    def newest(self, camera_id: str, limit: int) -> Sequence[StoredResult]:
        """At most `limit` results of a camera, in the order they were written; may raise NotNow."""
        found = self._store.results(camera_id, limit)
        return [one for one in found if stream_began_at_s(one.result.face.frame.stream_id) >= self._began_s]

    def now(self, camera_id: str) -> Sequence[Visit]:
        """The visits of the people present now; may raise NotNow."""
        return self._store.now([camera_id])


class LiveView:
    """Draws the state of a running pipeline from its metrics and from what it has stored."""

    def __init__(
        self, cameras: Sequence[Camera], pipeline: Pipeline, metrics: Metrics, store: RunResults
    ) -> None:
        self._cameras = cameras
        self._pipeline = pipeline
        self._metrics = metrics
        self._store = store
        self._started_s = time.monotonic()
        self._past: deque[tuple[float, dict[str, float]]] = deque([(self._started_s, {})])

    def draw(self) -> RenderableType:
        """The table of this moment."""
        now_s = time.monotonic()
        sent = self._metrics.by_label("agegender_messages_sent_total", "camera", service="ingest")
        dropped = self._metrics.by_label("agegender_messages_dropped_total", "camera", service="ingest")
        while len(self._past) > 1 and now_s - self._past[0][0] > _RATE_OVER_S:
            self._past.popleft()
        before_s, before = self._past[0]
        self._past.append((now_s, sent))
        table = Table(title=f"{now_s - self._started_s:.0f} s", title_justify="left", expand=True)
        table.add_column("camera")
        table.add_column("state", no_wrap=True)
        for name in ("frames/s", "dropped", "delay"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("there now", ratio=1, no_wrap=True, min_width=_THERE_NOW_CELLS)
        for camera in self._cameras:
            try:
                delay, there_now = self._delay(camera.id), self._there_now(camera.id)
            except NotNow:  # the line of the sink below says why
                delay, there_now = "-", "?"
            rate = (sent.get(camera.id, 0) - before.get(camera.id, 0)) / max(now_s - before_s, 0.1)
            table.add_row(
                Name(camera.id),
                self._state(camera.id),
                f"{rate:.1f}",
                f"{dropped.get(camera.id, 0):.0f}",
                delay,
                there_now,
            )
        waiting = [
            f"{health.service} waits: {health.waiting_for}"
            for health in self._pipeline.healths
            if health.waiting_for not in (None, STOPPED)
        ]
        failing = [f"{camera_id}: {why}" for camera_id, why in self._pipeline.cameras.failures.items()]
        return Group(
            table,
            *(Text(line, style="red") for line in failing),
            *(Text(line, style="yellow") for line in waiting),
        )

    def _state(self, camera_id: str) -> Text:
        notice = self._pipeline.cameras.notices.get(camera_id)
        if notice is not None and notice.reason is not None:
            return Text(notice.reason, style="red")
        up = self._metrics.by_label("agegender_camera_up_bool", "camera").get(camera_id)
        if up is None:
            return Text("at its end")
        return Text("up", style="green") if up else Text("connecting")

    def _delay(self, camera_id: str) -> str:
        newest = self._store.newest(camera_id, 10)
        return f"{statistics.median(one.delay_s for one in newest) * 1000:.0f} ms" if newest else "-"

    def _there_now(self, camera_id: str) -> str:
        visits = self._store.now(camera_id)
        if not visits:
            return "no person"
        return f"{len(visits)}: {', '.join(face_label(visit) for visit in visits)}"


@dataclass(frozen=True)
class Summary:
    """What a run did, added up."""

    seconds: float
    captured: int
    published: int
    dropped: dict[str, int]
    faces_found: int
    faces_classified: int
    """Faces that were sent to be classified. The others would not have changed an answer."""
    results: int
    not_stored: int
    """Results that were still waiting for the store at the end, and are lost."""
    bad: int
    visits: int
    genders: dict[str, int]
    """Number of visits by gender; for a folder of pictures, which has no tracks, number of faces."""
    age_bands: dict[str, int]
    """The same by age band. Unclassified ones count under their reason, or as unknown."""
    failures: Mapping[str, str]
    """Camera id → why it gave no frames at the end."""
    delays_s: Sequence[float]
    """Of the last results of each camera, from capture to Redis."""

    @classmethod
    def of(
        cls,
        metrics: Metrics,
        failures: Mapping[str, str],
        stored: Sequence[StoredResult],
        seconds: float,
    ) -> Summary:
        """The sums of the metrics; delays from the results themselves."""
        written = "agegender_results_written_total"
        visits = int(metrics.total("agegender_visits_counted_total"))
        counted = "agegender_visits_closed_total" if visits else written
        classified = metrics.total("agegender_messages_sent_total", service="detect", kind="face")
        results = metrics.total("agegender_messages_sent_total", service="classify", kind="result")
        stored_results = metrics.total(written) + metrics.total("agegender_results_repeated_total")
        return cls(
            seconds=seconds,
            captured=int(metrics.total("agegender_frames_captured_total")),
            published=int(metrics.total("agegender_messages_sent_total", service="ingest")),
            dropped=_whole(metrics.by_label("agegender_messages_dropped_total", "reason", service="ingest")),
            faces_found=int(classified + metrics.total("agegender_faces_skipped_total")),
            faces_classified=int(classified),
            results=int(metrics.total(written)),
            not_stored=max(0, int(results - stored_results)),
            bad=int(metrics.total("agegender_messages_bad_total")),
            visits=visits,
            genders=_whole(metrics.by_label(counted, "gender")),
            age_bands=_whole(metrics.by_label(counted, "age_band")),
            failures=failures,
            delays_s=sorted(one.delay_s for one in stored),
        )

    def draw(self) -> RenderableType:
        """The summary as a table of two columns, and below it why cameras gave no frames."""
        table = Table(title=f"In {self.seconds:.0f} s", title_justify="left", show_header=False)
        table.add_row("frames captured", f"{self.captured}")
        table.add_row("frames published", f"{self.published} ({self.published / self.seconds:.1f} a second)")
        table.add_row("frames dropped", _listed(self.dropped) or "none")
        table.add_row("faces found", f"{self.faces_found}")
        table.add_row("faces classified", f"{self.faces_classified}")
        table.add_row("results in the store", f"{self.results}")
        if self.not_stored:
            table.add_row("results not stored", Text(f"{self.not_stored}", style="red"))
        if self.bad:
            table.add_row("bad messages", f"{self.bad}")
        if self.visits:
            table.add_row("visits counted", f"{self.visits}")
        table.add_row("genders", _listed(self.genders) or "-")
        bands = {band: self.age_bands[band] for band in AGE_BANDS if band in self.age_bands}
        table.add_row("ages", _listed(bands) or "-")
        unclassified = {why: number for why, number in self.age_bands.items() if why not in AGE_BANDS}
        if unclassified:
            table.add_row("not classified", _listed(unclassified))
        if self.delays_s:
            late = self.delays_s[int(len(self.delays_s) * 0.95)]
            table.add_row(
                "capture to store",
                f"median {statistics.median(self.delays_s) * 1000:.0f} ms, 95 % within {late * 1000:.0f} ms",
            )
        failing = [f"{camera_id}: {why}" for camera_id, why in self.failures.items()]
        return Group(table, *(Text(line, style="red") for line in failing))


def _whole(sums: dict[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in sums.items() if value}


def _listed(sums: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in Counter(sums).items())
