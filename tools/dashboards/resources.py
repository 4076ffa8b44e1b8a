"""What the workers, the store and the API use, and what runs out."""

from __future__ import annotations

from tools.dashboards.grafana import Dashboard, Row
from tools.dashboards.panels import Panel, Query

_DAY_S = 86_400


def _with_decoders(own: str, of_decoders: str) -> str:
    """What a worker uses, and with it, where it has any, its decoders: they are processes of their own."""
    where = "on (service, instance)"
    return f"{own} + {where} {of_decoders} or {where} {own}"


_WORKERS = Row(
    "Workers",
    (
        Panel(
            "CPU",
            "Cores that each worker uses; with those of ingest, its decoders.",
            (
                Query(
                    _with_decoders(
                        'rate(process_cpu_seconds_total{job="agegender"}[$__rate_interval])',
                        "rate(agegender_decoder_cpu_seconds_total[$__rate_interval])",
                    ),
                    "{{service}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Memory of each worker; with that of ingest, its decoders. A line that only rises is a leak.",
            (
                Query(
                    _with_decoders(
                        'process_resident_memory_bytes{job="agegender"}', "agegender_decoder_memory_bytes"
                    ),
                    "{{service}} {{instance}}",
                ),
            ),
            unit="bytes",
        ),
        Panel(
            "Open files",
            "Of those that the process may open. Cameras and connections are files.",
            (
                Query(
                    'process_open_fds{job="agegender"} / process_max_fds{job="agegender"}',
                    "{{service}} {{instance}}",
                ),
            ),
            unit="percentunit",
            high=1,
            thresholds=((0.8, "red"),),
        ),
        Panel(
            "Cameras by worker",
            "Cameras that each ingest worker reads, or tries to.",
            (Query("agegender_held_cameras", "{{instance}}"),),
        ),
        Panel(
            "Workers",
            "What runs, which version, and since when.",
            (
                Query("max by (service, instance, version) (agegender_build_info)"),
                Query(
                    "max by (service, instance, version) ("
                    '(time() - process_start_time_seconds{job="agegender"})'
                    " * on (instance) group_left (version) agegender_build_info)"
                ),
            ),
            kind="table",
            columns=("running", "for"),
            column_units={"for": "s"},
            width=16,
        ),
    ),
)

_NETS = Row(
    "Nets",
    (
        Panel(
            "Nets at work",
            "Share of its time in which each classify worker classifies faces, by device. On a GPU it is the "
            "load of the "
            "GPU as we see it: under 20 % while work waits is waste, over 90 % is full.",
            (
                Query(
                    'instance:agegender_loop_seconds:share5m{service="classify", step="process"}'
                    " * on (instance) group_left (device) agegender_device_bool",
                    "{{device}} {{instance}}",
                ),
            ),
            unit="percentunit",
            high=1,
            width=12,
        ),
        Panel(
            "Faces for each second of the nets",
            "Faces that are classified in a second in which the nets work: what one worker could do at most.",
            (
                Query(
                    'sum(rate(agegender_batch_messages_sum{service="classify"}[$__rate_interval]))'
                    ' / sum(rate(agegender_stage_seconds_sum{service="classify"}[$__rate_interval]))',
                    "faces a second",
                ),
            ),
            width=12,
        ),
    ),
)

_STORE = Row(
    "Store and certificates",
    (
        Panel(
            "Memory of the store",
            "What it uses, and the most that it may (maxmemory; 0: as much as there is).",
            (
                Query("max(agegender_store_used_bytes)", "used"),
                Query("max(agegender_store_limit_bytes)", "limit"),
            ),
            unit="bytes",
        ),
        Panel(
            "Store used",
            "Of the memory that it may use. When it is full, the pipeline waits. Nothing is shown without "
            "a limit.",
            (Query("agegender_store_used:ratio"),),
            kind="stat",
            unit="percentunit",
            thresholds=((0.8, "yellow"), (0.97, "red")),
        ),
        Panel(
            "Certificates",
            "Days until they run out. Authority: what signed the server's; own: what we show. Empty "
            "without TLS.",
            (
                Query(
                    f"min by (service, server, role) (agegender_certificate_remaining_seconds) / {_DAY_S}",
                    "{{service}}: {{server}}, {{role}}",
                ),
            ),
            kind="bargauge",
            unit="d",
        ),
    ),
)

_API = Row(
    "API",
    (
        Panel(
            "Requests",
            "Requests a second by status.",
            (Query("sum by (status) (rate(agegender_http_requests_total[$__rate_interval]))", "{{status}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Time until an answer begins",
            "19 of 20 answers, by route.",
            (
                Query(
                    "histogram_quantile(0.95, "
                    "sum by (route, le) (rate(agegender_http_request_seconds_bucket[$__rate_interval])))",
                    "{{route}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Readers of events",
            "Pages and programs that are told of everything as it happens; API_EVENT_CLIENTS is the most.",
            (Query("sum(agegender_http_event_clients)", "readers"),),
        ),
    ),
)

RESOURCES = Dashboard(
    "agegender-resources",
    "agegender: resources",
    "What the workers, the store and the API use, and what runs out.",
    (_WORKERS, _NETS, _STORE, _API),
)
