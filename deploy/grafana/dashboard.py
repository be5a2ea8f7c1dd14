"""The Grafana dashboard as code: `python deploy/grafana/dashboard.py` writes the JSON.

What it shows is in `rows/`; here is how that is laid out. A test writes it again and compares, and
runs every expression against a real Prometheus.
"""

import json
from pathlib import Path
from typing import Any

from rows import ROWS

OUT = Path(__file__).parent / "dashboards" / "riverrun.json"


def dashboard() -> dict[str, Any]:
    """The dashboard's JSON model: three panels a line below a row heading each."""
    panels: list[dict[str, Any]] = []
    y = 0
    for heading, row in ROWS:
        panels.append(
            {"type": "row", "title": heading, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}}
        )
        y += 1
        for i, panel in enumerate(row):
            panels.append(
                {
                    "type": "timeseries",
                    "title": panel.title,
                    "description": panel.about,
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "gridPos": {"h": 7, "w": 8, "x": 8 * (i % 3), "y": y + 7 * (i // 3)},
                    "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                    "targets": [
                        {"refId": chr(65 + n), "expr": expression, "legendFormat": legend}
                        for n, (expression, legend) in enumerate(panel.series)
                    ],
                }
            )
        y += 7 * ((len(row) + 2) // 3)
    for number, panel_json in enumerate(panels, start=1):
        panel_json["id"] = number
    return {
        "uid": "riverrun",
        "title": "riverrun",
        "tags": ["riverrun"],
        "schemaVersion": 39,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "panels": panels,
    }


if __name__ == "__main__":
    OUT.write_text(json.dumps(dashboard(), indent=1) + "\n")
