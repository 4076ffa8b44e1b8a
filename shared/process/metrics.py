"""Every metric of the system, declared once.

Names are `agegender_<noun>_<unit>`. Labels are `service`, `camera`, `kind` and `reason`, of results `gender`
and `age_band`, of the API `route` (its template) and `status`, and of the workings `topic`, `partition`,
`step`, `device`, `server`, `role` and `version`: each has few values, so the number of series is bounded by
the number of cameras. Identifiers of frames, faces and persons never become labels, and what was read from
faces is told of all cameras together. `docs/metrics.md` shows them all; those of decoders, which the
kernel is asked for, are declared in `services/ingest/decoder/usage.py`.

For each camera the books of ingest balance: captured = sent + dropped, where `sent` and `dropped` are the
message counters under service="ingest". So do those of detect: faces found = sent (kind="face") + skipped.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agegender.shared import VERSION

_DELAY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_STAGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_AGE_BUCKETS_YEARS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90)
_CONFIDENCE_BUCKETS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1)
_QUALITY_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


class Metrics:
    """All metrics, registered in one registry, so that a test or an embedded pipeline has its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = Gauge(
            "agegender_build_info",
            "1; the label says which version runs.",
            ["version"],
            registry=registry,
        )
        self.build.labels(VERSION).set(1)
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
            "Faces that detect found and did not send to be classified.",
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
        self.batch_limit = Gauge(
            "agegender_batch_limit_messages",
            "Most messages that are processed together.",
            ["service"],
            registry=registry,
        )
        self.lag = Gauge(
            "agegender_lag_messages",
            "Messages of a partition that this worker has yet to take.",
            ["service", "topic", "partition"],
            registry=registry,
        )
        self.loop_seconds = Counter(
            "agegender_loop_seconds_total",
            "How the loop spends its time: waits for messages, processes, writes, commits, is held back.",
            ["service", "step"],
            registry=registry,
        )
        self.device = Gauge(
            "agegender_device_bool",
            "1 for the device that the nets run on.",
            ["service", "device"],
            registry=registry,
        )
        self.certificate_remaining = Gauge(
            "agegender_certificate_remaining_seconds",
            "Until a certificate from our settings runs out; 0 also where its file cannot be read.",
            ["server", "role"],
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
        self.known_cameras = Gauge(
            "agegender_known_cameras",
            "Cameras that there are, as far as this worker knows.",
            registry=registry,
        )
        self.camera_up = Gauge(
            "agegender_camera_up_bool",
            "1 while frames come from the camera; gone when a file was read to its end.",
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
            "Results written to the store, each face once; age_band may be why a face was not classified.",
            ["gender", "age_band"],
            registry=registry,
        )
        self.ages = Histogram(
            "agegender_age_years",
            "Ages read from faces, each face once, of all cameras together.",
            buckets=_AGE_BUCKETS_YEARS,
            registry=registry,
        )
        self.confidence = Histogram(
            "agegender_gender_confidence_ratio",
            "How sure the gender of a classified face is, of all cameras together.",
            ["gender"],
            buckets=_CONFIDENCE_BUCKETS,
            registry=registry,
        )
        self.quality = Histogram(
            "agegender_face_quality_ratio",
            "How well the faces can be seen that were sent to be classified: 0 unusable, 1 ideal.",
            buckets=_QUALITY_BUCKETS,
            registry=registry,
        )
        self.store_used = Gauge(
            "agegender_store_used_bytes",
            "Memory that the store uses.",
            registry=registry,
        )
        self.store_limit = Gauge(
            "agegender_store_limit_bytes",
            "Memory that the store may use, its maxmemory; 0: as much as there is.",
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
        self.visits = Counter(
            "agegender_visits_counted_total",
            "Persons seen, each once.",
            ["camera"],
            registry=registry,
        )
        self.visits_closed = Counter(
            "agegender_visits_closed_total",
            "Persons whose record is final: `left`, or `silent` for too long.",
            ["gender", "age_band", "reason"],
            registry=registry,
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples called `name` whose labels include `labels`; 0 when there is none."""
        return sum(
            sample.value
            for family in self.registry.restricted_registry([name]).collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by_label(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The samples called `name` whose labels include `labels`, summed by the value of `label`."""
        sums: dict[str, float] = {}
        for family in self.registry.restricted_registry([name]).collect():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
        return sums
