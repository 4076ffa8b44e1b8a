"""Every metric of the system, declared once.

Names are `agegender_<noun>_<unit>`. Labels are `service`, `camera`, `kind` and `reason`, of results `gender`
and `age_band`, of the API `route` (its template) and `status`: each has few values, so the number of series
is bounded by the number of cameras. Identifiers of frames, faces and persons never become labels.

For each camera the books of ingest balance: captured = sent + dropped, where `sent` and `dropped` are the
message counters under service="ingest". So do those of detect: faces found = sent (kind="face") + skipped.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_DELAY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_STAGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """All metrics, registered in one registry, so that a test or an embedded pipeline has its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.received = Counter(
            "agegender_messages_received_total",
            "Messages taken from the source.",
            ["service", "camera", "kind"],
            registry=registry,
        )
        self.sent = Counter(
            "agegender_messages_sent_total",
            "Messages that are safe on the other side.",
            ["service", "camera", "kind"],
            registry=registry,
        )
        self.skipped = Counter(
            "agegender_faces_skipped_total",
            "Faces that detect found and did not send to be judged.",
            ["camera", "reason"],
            registry=registry,
        )
        self.dropped = Counter(
            "agegender_messages_dropped_total",
            "Messages left out on purpose.",
            ["service", "camera", "reason"],
            registry=registry,
        )
        self.bad = Counter(
            "agegender_messages_bad_total",
            "Messages sent to the dead letters.",
            ["service"],
            registry=registry,
        )
        self.retries = Counter(
            "agegender_retries_total",
            "Times a server was away or full and the work was held back.",
            ["service"],
            registry=registry,
        )
        self.batch_size = Histogram(
            "agegender_batch_messages",
            "Messages processed together.",
            ["service"],
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "agegender_stage_seconds",
            "Time the stage took for a batch.",
            ["service"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self.delay = Histogram(
            "agegender_delay_seconds",
            "Time from the capture of the picture until this service was done with it.",
            ["service"],
            buckets=_DELAY_BUCKETS_S,
            registry=registry,
        )
        self.ready = Gauge(
            "agegender_ready_bool",
            "1 when the service has all it needs, as /ready says.",
            ["service"],
            registry=registry,
        )
        self.captured = Counter(
            "agegender_frames_captured_total",
            "Frames picked from the stream by the sampler.",
            ["camera"],
            registry=registry,
        )
        self.buffered = Gauge(
            "agegender_buffered_messages",
            "Frames that ingest keeps until Kafka has them.",
            ["camera"],
            registry=registry,
        )
        self.held_cameras = Gauge(
            "agegender_held_cameras",
            "Cameras that this worker reads, or tries to.",
            registry=registry,
        )
        self.camera_up = Gauge(
            "agegender_camera_up_bool",
            "1 while frames come from the camera.",
            ["camera"],
            registry=registry,
        )
        self.camera_failures = Counter(
            "agegender_camera_failures_total",
            "Times a camera could not be opened or its stream ended, by reason.",
            ["camera", "reason"],
            registry=registry,
        )
        self.clock_skew = Gauge(
            "agegender_camera_clock_skew_seconds",
            "Our clock minus the camera's when its last frame arrived, network and decoding included.",
            ["camera"],
            registry=registry,
        )
        self.results = Counter(
            "agegender_results_written_total",
            "Results written to the store, each face once; age_band may be why a face was not judged.",
            ["gender", "age_band"],
            registry=registry,
        )
        self.repeats = Counter(
            "agegender_results_repeated_total",
            "Results that were in the store already and changed nothing.",
            ["camera"],
            registry=registry,
        )
        self.requests = Counter(
            "agegender_http_requests_total",
            "Requests that the API answered, by the template of the route; none: there is no such route.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "agegender_http_request_seconds",
            "Time until the answer began.",
            ["route"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self.event_clients = Gauge(
            "agegender_http_event_clients",
            "Readers of the API's events at this moment.",
            registry=registry,
        )

        self.late = Counter(
            "agegender_results_late_total",
            "Results that came when the person's record was closed already, and did not change it.",
            ["camera"],
            registry=registry,
        )
        self.persons = Counter(
            "agegender_persons_counted_total",
            "Persons seen, each once.",
            ["camera"],
            registry=registry,
        )
        self.persons_closed = Counter(
            "agegender_persons_closed_total",
            "Persons whose record is final: `left`, or `silent` for too long.",
            ["gender", "age_band", "reason"],
            registry=registry,
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples called `name` whose labels include `labels`; 0 when there is none."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by_label(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The samples called `name` whose labels include `labels`, summed by the value of `label`."""
        sums: dict[str, float] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
        return sums
