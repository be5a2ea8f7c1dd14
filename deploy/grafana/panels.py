"""What a row of the dashboard is made of. Knows nothing of Grafana's JSON."""

from typing import NamedTuple


class Panel(NamedTuple):
    title: str
    unit: str
    about: str
    series: list[tuple[str, str]]  # expression, legend


class Row(NamedTuple):
    heading: str
    panels: list[Panel]
