"""How far each source's own time has come, and which documents come late.

A watermark is the newest record time of a source, but never later than Kafka's time of the record:
a clock that runs ahead must not make everybody else late. Late documents are counted and learned
all the same. Called by the worker.
"""

from riverrun.metrics import StreamMetrics
from stream.source_labels import SourceLabels


class Watermarks:
    """late_s: how far behind the watermark a document may be before it counts as late."""

    def __init__(self, metrics: StreamMetrics, labels: SourceLabels, late_s: float) -> None:
        self._metrics = metrics
        self._labels = labels
        self._late_ms = late_s * 1000
        self._newest_ms: dict[str, int] = {}

    def pass_by(self, source: str, timestamp_ms: int, kafka_ms: int) -> None:
        """A document of this time was written. Sources beyond the labelled ones share a mark."""
        label = self._labels.label(source)
        newest = self._newest_ms.get(label)
        if newest is not None and newest - timestamp_ms > self._late_ms:
            self._metrics.late.labels(label).inc()
            return
        reached = min(timestamp_ms, kafka_ms)
        if newest is None or reached > newest:
            self._newest_ms[label] = reached
            self._metrics.watermark.labels(label).set(reached / 1000)
