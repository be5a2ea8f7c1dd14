"""What the broker process tells."""

from prometheus_client import CollectorRegistry, Gauge


class BrokerMetrics:
    """The process around the embedded broker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge("riverrun_broker_up", "1 while Kafka answers.", registry=registry)
        self.end_offset = Gauge(
            "riverrun_broker_end_offset",
            "Next offset to be written.",
            ["topic", "partition"],
            registry=registry,
        )
        self.resident_bytes = Gauge(
            "riverrun_broker_resident_bytes", "Memory of the Java process.", registry=registry
        )
