"""Every metric of every process, declared here and nowhere else: one file a process,
and of the learner three.

A process makes its own class with its own registry, so that /metrics shows what it can know.
`deploy/` has the Prometheus and Grafana files; a test runs each of their expressions.
"""

from riverrun.metrics.broker import BrokerMetrics
from riverrun.metrics.learner import LearnerMetrics
from riverrun.metrics.serving import ServingMetrics
from riverrun.metrics.stream import StreamMetrics
from riverrun.metrics.supervisor import SupervisorMetrics

__all__ = [
    "BrokerMetrics",
    "LearnerMetrics",
    "ServingMetrics",
    "StreamMetrics",
    "SupervisorMetrics",
]
