"""Every metric of the system, declared once.

Names are `agegender_<noun>_<unit>`. Each label has few values, so the number of cameras bounds the number of
series. Ids of frames, faces and persons never become labels. Ages and genders are exported for all cameras
together. `docs/metrics.md` lists all metrics. `services/ingest/decoder/usage.py` declares those of the
decoders, which come from the kernel.

The counters of each camera add up. In ingest: frames captured = messages sent + messages dropped. In detect:
faces found = messages sent (kind="face") + faces skipped.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agegender.shared import VERSION

_DELAY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_STAGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_AGE_BUCKETS_YEARS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90)
_CONFIDENCE_BUCKETS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1)
_QUALITY_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


class Metrics:
    """All metrics in one registry, so that each test or embedded pipeline can have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = Gauge(
            "agegender_build_info",
            "1; the label holds the running version.",
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
            "Messages that the other side has confirmed.",
            ["service", "camera", "kind"],
            registry=registry,
        )
        self.skipped = Counter(
            "agegender_faces_skipped_total",
            "Faces that detect found and did not send to be classified.",
            ["camera", "reason"],
            registry=registry,
        )
        self.still = Counter(
            "agegender_frames_still_total",
            "Frames that detect did not search, because nothing had moved since one that it searched.",
            ["camera"],
            registry=registry,
        )
        self.dropped = Counter(
            "agegender_messages_dropped_total",
            "Messages dropped on purpose.",
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
            "Times a server was down or full and the work had to wait.",
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
            "The most messages that are processed together.",
            ["service"],
            registry=registry,
        )
        self.lag = Gauge(
            "agegender_lag_messages",
            "Messages of a partition that this worker has not taken yet.",
            ["service", "topic", "partition"],
            registry=registry,
        )
        self.loop_seconds = Counter(
            "agegender_loop_seconds_total",
            "How the loop spends its time: wait for messages, process, write, commit, hold for a server.",
            ["service", "step"],
            registry=registry,
        )
        self.device = Gauge(
            "agegender_device_bool",
            "1 for the device that the neural nets run on, and for their pack.",
            ["service", "device", "nets"],
            registry=registry,
        )
        self.certificate_remaining = Gauge(
            "agegender_certificate_remaining_seconds",
            "Time until a configured certificate expires; 0 also when its file cannot be read.",
            ["server", "role"],
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "agegender_stage_seconds",
            "Time that the stage took for a batch.",
            ["service"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self.delay = Histogram(
            "agegender_delay_seconds",
            "Time from the capture of a frame until this service had processed it.",
            ["service"],
            buckets=_DELAY_BUCKETS_S,
            registry=registry,
        )
        self.ready = Gauge(
            "agegender_ready_bool",
            "1 when the service is ready, as at /ready.",
            ["service"],
            registry=registry,
        )
        self.captured = Counter(
            "agegender_frames_captured_total",
            "Frames that the sampler picked from the stream.",
            ["camera"],
            registry=registry,
        )
        self.buffered = Gauge(
            "agegender_buffered_messages",
            "Frames in the buffer of ingest that Kafka does not have yet.",
            ["camera"],
            registry=registry,
        )
        self.held_cameras = Gauge(
            "agegender_held_cameras",
            "Cameras that this worker reads, or tries to read.",
            registry=registry,
        )
        self.known_cameras = Gauge(
            "agegender_known_cameras",
            "All cameras that this worker knows.",
            registry=registry,
        )
        self.camera_up = Gauge(
            "agegender_camera_up_bool",
            "1 while frames arrive from the camera; removed at the end of a file.",
            ["camera"],
            registry=registry,
        )
        self.camera_failures = Counter(
            "agegender_camera_failures_total",
            "Times that a camera could not be opened or its stream ended, by reason.",
            ["camera", "reason"],
            registry=registry,
        )
        self.clock_skew = Gauge(
            "agegender_camera_clock_skew_seconds",
            "Our clock minus the camera's when its last frame arrived, network and decoding included.",
            ["camera"],
            registry=registry,
        )
        self.decoder_skipped = Counter(
            "agegender_decoder_skipped_seconds_total",
            "Video that was skipped to be at the present, because the decoder was too slow.",
            ["camera"],
            registry=registry,
        )
        self.results = Counter(
            "agegender_results_written_total",
            "Results written to the store, each face once; age_band may be why a face is unclassified.",
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
            "Confidence of the gender of classified faces, of all cameras together.",
            ["gender"],
            buckets=_CONFIDENCE_BUCKETS,
            registry=registry,
        )
        self.quality = Histogram(
            "agegender_face_quality_ratio",
            "Quality of the faces that were sent to be classified: 0 unusable, 1 ideal.",
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
            "Memory that the store may use, its maxmemory; 0: no limit.",
            registry=registry,
        )
        self.store_evicts = Gauge(
            "agegender_store_evicts_bool",
            "1 when a full store deletes keys, because its maxmemory-policy is not noeviction.",
            registry=registry,
        )
        self.repeats = Counter(
            "agegender_results_repeated_total",
            "Results that were already in the store and changed nothing.",
            ["camera"],
            registry=registry,
        )
        self.requests = Counter(
            "agegender_http_requests_total",
            "Requests that the API answered, by the template of the route; none: an unknown route.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "agegender_http_request_seconds",
            "Time from a request to the first byte of the answer.",
            ["route"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self.event_clients = Gauge(
            "agegender_http_event_clients",
            "Clients that read the API's events at this moment.",
            registry=registry,
        )
        self.late = Counter(
            "agegender_results_late_total",
            "Results that arrived after their visit was closed, and did not change it.",
            ["camera"],
            registry=registry,
        )
        self.visits = Counter(
            "agegender_visits_counted_total",
            "Visits, each counted once.",
            ["camera"],
            registry=registry,
        )
        self.visits_closed = Counter(
            "agegender_visits_closed_total",
            "Closed visits: `left`, or `timed-out` by the silence timeout.",
            ["gender", "age_band", "reason"],
            registry=registry,
        )

        self._by_camera = (
            self.received,
            self.sent,
            self.skipped,
            self.still,
            self.dropped,
            self.captured,
            self.buffered,
            self.camera_up,
            self.camera_failures,
            self.clock_skew,
            self.decoder_skipped,
            self.repeats,
            self.late,
            self.visits,
        )

    def sum_by_camera(self) -> Mapping[str, float]:
        """Each camera with a series, and a number that changes when one of its series does."""
        sums: dict[str, float] = {}
        for metric in self._by_camera:
            for family in metric.collect():
                for sample in family.samples:
                    camera = sample.labels["camera"]
                    sums[camera] = sums.get(camera, 0.0) + sample.value
        return sums

    def forget_camera(self, camera_id: str) -> None:
        """Removes all series of the camera."""
        for metric in self._by_camera:
            metric.remove_by_labels({"camera": camera_id})

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples named `name` with these labels among theirs; 0 without any."""
        return sum(
            sample.value
            for family in self.registry.restricted_registry([name]).collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by_label(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The samples named `name` with these labels among theirs, summed by the value of `label`."""
        sums: dict[str, float] = {}
        for family in self.registry.restricted_registry([name]).collect():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
        return sums
