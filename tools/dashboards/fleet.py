"""All cameras and services at a glance."""

from __future__ import annotations

from tools.dashboards.grafana import Dashboard, Row
from tools.dashboards.panels import Panel, Query

_ONE_CAMERA = (
    "Show this camera",
    "/d/agegender-camera?var-camera=${__data.fields.camera}&${__url_time_range}",
)

_NOW = Row(
    "Now",
    (
        Panel(
            "Cameras with frames",
            "Cameras that gave a frame lately, of all that a worker reads.",
            (Query("sum(camera:agegender_camera_up_bool:max)"),),
            kind="stat",
            width=3,
            height=4,
        ),
        Panel(
            "Cameras without",
            "Cameras that are tried and give no frames. The table below says which.",
            (Query("count(camera:agegender_camera_up_bool:max == 0) or vector(0)"),),
            kind="stat",
            width=3,
            height=4,
            thresholds=((1, "yellow"), (10, "red")),
        ),
        Panel(
            "Cameras unread",
            "Cameras that there are and that no ingest worker holds; 0 is well.",
            (Query("clamp_min(max(agegender_known_cameras) - sum(agegender_held_cameras), 0)"),),
            kind="stat",
            width=3,
            height=4,
            thresholds=((1, "red"),),
        ),
        Panel(
            "Alerts",
            "Alerts that are firing.",
            (Query('count(ALERTS{alertname!="", alertstate="firing"}) or vector(0)'),),
            kind="stat",
            width=3,
            height=4,
            thresholds=((1, "yellow"), (5, "red")),
        ),
        Panel(
            "From camera to store",
            "19 of 20 messages take this long or less. The target is 5 seconds.",
            (Query('service:agegender_delay_seconds:p95_5m{service="sink"}'),),
            kind="stat",
            unit="s",
            width=4,
            height=4,
            thresholds=((5, "yellow"), (30, "red")),
        ),
        Panel(
            "Frames dropped",
            "Of the frames that were captured, the share that was dropped.",
            (
                Query(
                    "sum(camera:agegender_messages_dropped:rate5m) / "
                    "(sum(camera:agegender_frames_captured:rate5m) > 0)"
                    " or vector(0)"
                ),
            ),
            kind="stat",
            unit="percentunit",
            width=4,
            height=4,
            thresholds=((0.01, "yellow"), (0.05, "red")),
        ),
        Panel(
            "Visits in the last hour",
            "Visits that began to be counted, of all cameras together.",
            (Query("sum(increase(agegender_visits_counted_total[1h]))"),),
            kind="stat",
            width=4,
            height=4,
        ),
    ),
)

_ALERTS = Row(
    "Alerts and workers",
    (
        Panel(
            "Alerts",
            "Pending and firing. Each name has a section in docs/runbooks.md.",
            (),
            kind="alertlist",
            width=12,
        ),
        Panel(
            "Workers that are ready",
            "Workers by service, as their /ready says. A line that falls to 0 stops everything behind it.",
            (Query("sum by (service) (agegender_ready_bool)", "{{service}}"),),
            width=12,
        ),
    ),
)

_CAMERAS = Row(
    "Cameras",
    (
        Panel(
            "Cameras",
            "A click on a name shows the camera alone.",
            (
                Query("max by (camera) (camera:agegender_camera_up_bool:max)"),
                Query("max by (camera) (camera:agegender_frames_captured:rate5m)"),
                Query(
                    "max by (camera) (camera:agegender_frames_dropped:ratio5m or "
                    "camera:agegender_frames_captured:rate5m * 0)"
                ),
                Query("sum by (camera) (increase(agegender_camera_failures_total[1h]))"),
                Query("sum by (camera) (increase(agegender_visits_counted_total[1h]))"),
            ),
            kind="table",
            width=24,
            height=12,
            columns=(
                "gives frames",
                "frames a second",
                "dropped",
                "failures in an hour",
                "visits in an hour",
            ),
            column_units={"dropped": "percentunit"},
            links=(_ONE_CAMERA,),
        ),
        Panel(
            "Frames captured",
            "Frames a second of all cameras together: INGEST_FPS times the cameras that give frames.",
            (Query("sum(camera:agegender_frames_captured:rate5m)", "captured"),),
            unit="reqps",
        ),
        Panel(
            "Frames dropped, by reason",
            "busy: a newer frame came before it could be taken; stale: too old to matter; "
            "deleted: Kafka deleted it unread; removed: of a removed camera; full: Kafka took none for long; "
            "oversize and undecodable: it was no picture for us; stopped: a worker ended.",
            (
                Query(
                    "sum by (service, reason) (rate(agegender_messages_dropped_total[$__rate_interval]))",
                    "{{service}}: {{reason}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Failures of cameras, by reason",
            "How often cameras could not be opened or broke off, in a minute.",
            (
                Query(
                    "60 * sum by (reason) (rate(agegender_camera_failures_total[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

_PEOPLE = Row(
    "People",
    (
        Panel(
            "Visits counted",
            "Visits an hour, of all cameras together.",
            (Query("3600 * sum(rate(agegender_visits_counted_total[$__rate_interval]))", "visits an hour"),),
            width=12,
        ),
        Panel(
            "Records closed",
            "Visits closed an hour: the person left, or no track update came for too long.",
            (
                Query(
                    "3600 * sum by (reason) (rate(agegender_visits_closed_total[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            width=12,
        ),
    ),
)

FLEET = Dashboard(
    "agegender-fleet",
    "agegender: fleet",
    "All cameras and services at a glance. Begin here.",
    (_NOW, _ALERTS, _CAMERAS, _PEOPLE),
)
