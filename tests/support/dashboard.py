"""The dashboard and the alert rules of the chart, as their queries reach Prometheus."""

import json
from pathlib import Path

CHART = Path(__file__).parents[2] / "charts" / "kube-rendezvous"
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
ALERTS = CHART / "files" / "alerts.yaml"


def filled(query: str) -> str:
    """With what Grafana puts in the place of its variables."""
    for variable, text in (("$__rate_interval", "1m"), ("$namespace", ".*"), ("$rendezvous", ".*")):
        query = query.replace(variable, text)
    assert "$" not in query
    return query
