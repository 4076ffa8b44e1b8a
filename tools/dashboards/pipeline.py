"""Where messages are, how old, and which service is the narrowest."""

from __future__ import annotations

from tools.dashboards.grafana import Dashboard, Row
from tools.dashboards.panels import Panel, Query

_SERVICES = ("ingest", "detect", "classify", "sink")

_RATES = Row(
    "Rates",
    (
        Panel(
            "Taken in",
            "Messages a second by service and kind.",
            (
                Query(
                    "sum by (service, kind) (rate(agegender_messages_received_total[$__rate_interval]))",
                    "{{service}}: {{kind}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Sent on",
            "Messages a second by service and kind, counted when they are safe on the other side.",
            (
                Query(
                    "sum by (service, kind) (rate(agegender_messages_sent_total[$__rate_interval]))",
                    "{{service}}: {{kind}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            "Bad messages and retries",
            "A minute: messages sent to the dead letters, and times a server was away or full.",
            (
                Query(
                    "60 * sum by (service) (rate(agegender_messages_bad_total[$__rate_interval]))",
                    "{{service}}: bad",
                ),
                Query(
                    "60 * sum by (service) (rate(agegender_retries_total[$__rate_interval]))",
                    "{{service}}: retries",
                ),
            ),
        ),
    ),
)

_LAG = Row(
    "What waits",
    (
        Panel(
            "Messages that wait",
            "Messages in each topic that its service has yet to take. A line that rises means too few "
            "workers.",
            (Query("service:agegender_lag_messages:sum", "{{topic}} for {{service}}"),),
        ),
        Panel(
            "Time to take them",
            "The same by the speed of the last minutes: how far behind each service is. Pictures are "
            "deleted after ten "
            "minutes.",
            (Query("service:agegender_lag_seconds:estimate", "{{service}}"),),
            unit="s",
            thresholds=((10, "yellow"), (300, "red")),
        ),
        Panel(
            "Messages that wait, by partition",
            "The five fullest. One that stands out: its worker is slow, or one camera sends most of the "
            "faces.",
            (
                Query(
                    "topk(5, max by (topic, partition) (agegender_lag_messages))", "{{topic}} {{partition}}"
                ),
            ),
        ),
    ),
)


def _heat_map(service: str) -> Panel:
    return Panel(
        f"Delay after {service}",
        f"How long after the picture was taken {service} was done with messages; dark: many.",
        (
            Query(
                f'sum by (le) (increase(agegender_delay_seconds_bucket{{service="{service}"}}'
                "[$__rate_interval]))",
                "{{le}}",
            ),
        ),
        kind="heatmap",
        unit="s",
        width=6,
    )


_DELAY = Row(
    "Delay from the moment the picture was taken",
    (
        Panel(
            "19 of 20 take at most",
            "By service, each with all before it. The target is 5 seconds at the sink.",
            (Query("service:agegender_delay_seconds:p95_5m", "{{service}}"),),
            unit="s",
            width=12,
            thresholds=((5, "yellow"),),
        ),
        Panel(
            "Half of them take at most",
            "By service, each with all before it.",
            (Query("service:agegender_delay_seconds:p50_5m", "{{service}}"),),
            unit="s",
            width=12,
        ),
        *(_heat_map(service) for service in _SERVICES),
    ),
)

_BATCHES = Row(
    "Batches",
    (
        Panel(
            "Messages in a batch",
            "The mean. On a GPU large batches of classify do more in the same time; on a CPU it makes no "
            "difference.",
            (
                Query("service:agegender_batch_messages:mean5m", "{{service}}"),
                Query('max(agegender_batch_limit_messages{service="classify"})', "most of classify"),
            ),
        ),
        Panel(
            "Batches of classify, by size",
            "How many batches there were of each size.",
            (
                Query(
                    'sum by (le) (increase(agegender_batch_messages_bucket{service="classify"}'
                    "[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            kind="heatmap",
        ),
        Panel(
            "Time for a batch",
            "19 of 20 batches take at most so long in the stage, by service.",
            (
                Query(
                    "histogram_quantile(0.95, "
                    "sum by (service, le) (rate(agegender_stage_seconds_bucket[$__rate_interval])))",
                    "{{service}}",
                ),
            ),
            unit="s",
        ),
    ),
)


def _time_of(service: str) -> Panel:
    return Panel(
        f"Time of {service}",
        "Of all its workers together: wait for messages, process, write, commit, and hold back because a "
        "server is "
        "away. Little waiting means that it needs more workers.",
        (
            Query(
                f'avg by (step) (instance:agegender_loop_seconds:share5m{{service="{service}"}})', "{{step}}"
            ),
        ),
        unit="percentunit",
        high=1,
        stacked=True,
        width=6,
    )


_TIME = Row("What the workers do with their time", tuple(_time_of(service) for service in _SERVICES))

PIPELINE = Dashboard(
    "agegender-pipeline",
    "agegender: pipeline",
    "Where messages are, how old they are, and which service is the narrowest.",
    (_RATES, _LAG, _DELAY, _BATCHES, _TIME),
)
