"""Reads a process's /metrics, as Prometheus would.

Called by `riverrun/status.py`. Knows the text format and no metric.
"""

import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Samples:
    """The samples of one scrape. An absent metric is None: the process has not set it yet."""

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._by_name[sample.name][frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        return self._by_name[name].get(frozenset(labels.items()))

    def total(self, name: str) -> float | None:
        """The sum over all labels."""
        values = self._by_name[name].values()
        return sum(values) if values else None

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums by one label."""
        sums: dict[str, float] = defaultdict(float)
        for labels, value in self._by_name[name].items():
            sums[dict(labels).get(label, "")] += value
        return dict(sums)

    def each(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and value of each sample."""
        for labels, value in self._by_name[name].items():
            yield dict(labels), value


def scrape(port: int, timeout_s: float = 2.0) -> Samples | None:
    """What the process on loopback says; None when it does not answer (it may just have died)."""
    url = f"http://127.0.0.1:{port}/metrics"
    # Without a proxy that the environment may name: it cannot reach our loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as response:
            return Samples(response.read().decode())
    except (OSError, HTTPException):
        return None
