"""The dashboards of Grafana, written by `python -m tools.dashboards` into `deploy/grafana/dashboards`."""
