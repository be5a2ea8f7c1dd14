"""What `riverrun up` tells."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class SupervisorMetrics:
    """`riverrun up`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "riverrun_process_up", "1 while the process is ready.", ["process"], registry=registry
        )
        self.restarts = Counter(
            "riverrun_process_restarts", "Restarts after a crash.", ["process"], registry=registry
        )
