"""One camera, from its stream to its visits."""

from __future__ import annotations

from tools.dashboards.grafana import Dashboard, Row, Variable
from tools.dashboards.panels import Panel, Query

_STREAM = Row(
    "Stream",
    (
        Panel(
            "Frames come",
            "Whether the camera gives frames. Gaps are times in which no worker read it.",
            (Query('camera:agegender_camera_up_bool:max{camera="$camera"}', "{{camera}}"),),
            kind="state-timeline",
            width=24,
            height=4,
            words={"0": ("no frames", "red"), "1": ("frames", "green")},
        ),
        Panel(
            "Frames",
            "Frames a second: captured from the stream, published to Kafka, looked at by detect. The three "
            "should "
            "lie on each other.",
            (
                Query(
                    'sum(rate(agegender_frames_captured_total{camera="$camera"}[$__rate_interval]))',
                    "captured",
                ),
                Query(
                    'sum(rate(agegender_messages_sent_total{camera="$camera", '
                    'service="ingest"}[$__rate_interval]))',
                    "published",
                ),
                Query(
                    'sum(rate(agegender_messages_received_total{camera="$camera", service="detect"}'
                    "[$__rate_interval]))",
                    "looked at",
                ),
                Query(
                    'sum(rate(agegender_frames_still_total{camera="$camera"}[$__rate_interval]))',
                    "not searched, because nothing moved",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Frames dropped, by reason",
            "Frames a second that were dropped; docs/metrics.md names the reasons.",
            (
                Query(
                    "sum by (service, reason) "
                    '(rate(agegender_messages_dropped_total{camera="$camera"}[$__rate_interval]))',
                    "{{service}}: {{reason}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Frames that wait for Kafka",
            "Kept by ingest until Kafka has them; the newest, as far as INGEST_BUFFER_BYTES goes.",
            (Query('sum(agegender_buffered_messages{camera="$camera"})', "frames"),),
        ),
        Panel(
            "Failures, by reason",
            "How often it could not be opened or broke off, in a minute.",
            (
                Query(
                    '60 * sum by (reason) (rate(agegender_camera_failures_total{camera="$camera"}'
                    "[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Our clock less the camera's",
            "Where the camera tells the time. A second or less is well; network and decoding are in it. "
            "All times of "
            "visits are the camera's.",
            (Query('max(agegender_camera_clock_skew_seconds{camera="$camera"})', "skew"),),
            unit="s",
            low=None,
            width=8,
        ),
        Panel(
            "Video skipped",
            "Seconds of video a second that the decoder left out, because it was too slow.",
            (
                Query(
                    'sum(rate(agegender_decoder_skipped_seconds_total{camera="$camera"}[$__rate_interval]))',
                    "skipped",
                ),
            ),
            width=8,
        ),
        Panel(
            "Read by",
            "The worker that reads the camera.",
            (Query('agegender_camera_up_bool{camera="$camera"}', "{{instance}}"),),
            width=8,
            high=1,
        ),
    ),
)

_FACES = Row(
    "Faces and visits",
    (
        Panel(
            "Faces",
            "Faces a second that were found, by what became of them: sent to be classified, or left out "
            "because the person "
            "is not confirmed yet, the face is too poor, or enough of the person's faces were classified.",
            (
                Query(
                    'sum(rate(agegender_messages_sent_total{camera="$camera", service="detect", kind="face"}'
                    "[$__rate_interval]))",
                    "classified",
                ),
                Query(
                    'sum by (reason) (rate(agegender_faces_skipped_total{camera="$camera"}'
                    "[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Visits",
            "Visits an hour.",
            (
                Query(
                    '3600 * sum(rate(agegender_visits_counted_total{camera="$camera"}[$__rate_interval]))',
                    "visits",
                ),
            ),
        ),
        Panel(
            "Results that changed nothing",
            "Results a minute that were in the store already (repeats after a crash), or came when the "
            "visit's record "
            "was closed.",
            (
                Query(
                    '60 * sum(rate(agegender_results_repeated_total{camera="$camera"}[$__rate_interval])) '
                    "or vector(0)",
                    "repeated",
                ),
                Query(
                    '60 * sum(rate(agegender_results_late_total{camera="$camera"}[$__rate_interval])) or '
                    "vector(0)",
                    "late",
                ),
            ),
        ),
        Panel(
            "Messages by service",
            "Messages a second that each service took in, by kind. Where a line ends, the messages of this "
            "camera wait.",
            (
                Query(
                    "sum by (service, kind) "
                    '(rate(agegender_messages_received_total{camera="$camera"}[$__rate_interval]))',
                    "{{service}}: {{kind}}",
                ),
            ),
            unit="reqps",
            width=24,
        ),
    ),
)

# A live camera that never gave a frame has captured none; a file that was read to its end is not up any more.
_CAMERAS = 'label_values({__name__=~"agegender_camera_up_bool|agegender_frames_captured_total"}, camera)'

CAMERA = Dashboard(
    "agegender-camera",
    "agegender: one camera",
    "From the stream of a camera to its visits.",
    (_STREAM, _FACES),
    variables=(Variable("camera", "Camera", _CAMERAS),),
)
