"""The process `riverrun broker`: Kafka as a child, the topics, /metrics, and an end for both.

Knows nothing of who reads and writes. Called by the command line.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

from riverrun.broker.kafka_process import KafkaProcess
from riverrun.broker.topics import ensure_topics, topic_specifications
from riverrun.errors import BrokerError
from riverrun.kafka import client_options
from riverrun.metrics import BrokerMetrics
from riverrun.process import Running, process
from riverrun.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaConsumer

WATCH_S = 0.2
MEASURE_S = 2.0
ANSWER_MS = 2000
"""Kafka is a process on the same machine: one that is silent for longer is looked after first."""

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Run Kafka until a signal; ready when it answers and the topics are there.

    Raises BrokerError when Kafka does not start or dies.
    """
    with process("broker", settings, settings.broker.metrics_port) as running:
        metrics = BrokerMetrics(running.registry)
        with KafkaProcess(settings) as kafka:
            _make_topics(settings, kafka)
            running.announce("ready", address=kafka.address)
            _watch(settings, running, kafka, metrics)
            running.announce("draining", address=kafka.address)


def _make_topics(settings: Settings, kafka: KafkaProcess) -> None:
    try:
        ensure_topics(settings, [kafka.address])
    except BrokerError:
        kafka.check_alive()  # that it died says more than that it does not answer
        raise


def _watch(
    settings: Settings, running: Running, kafka: KafkaProcess, metrics: BrokerMetrics
) -> None:
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    options = client_options(settings.kafka, [kafka.address])
    try:
        consumer = KafkaConsumer(**options, group_id=None, enable_auto_commit=False)
    except KafkaError as error:
        kafka.check_alive()
        raise BrokerError(f"Kafka at {kafka.address} does not answer: {error!r}") from error
    try:
        measured = 0.0
        while not running.stop.wait(WATCH_S):
            kafka.check_alive()
            if time.monotonic() - measured >= MEASURE_S:
                measured = time.monotonic()
                _measure(settings, consumer, metrics)
                metrics.resident_bytes.set(kafka.resident_bytes())
    finally:
        consumer.close(timeout_ms=ANSWER_MS)


def _measure(settings: Settings, consumer: "KafkaConsumer", metrics: BrokerMetrics) -> None:
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    counts: dict[str, Any] = topic_specifications(settings.kafka)
    partitions = [
        TopicPartition(topic, partition)
        for topic, kind in counts.items()
        for partition in range(kind["num_partitions"])
    ]
    try:
        ends = consumer.end_offsets(partitions, timeout_ms=ANSWER_MS)
    except KafkaError as error:
        metrics.up.set(0)
        log.warning("Kafka does not answer: %r", error)
        return
    metrics.up.set(1)
    for partition, end in ends.items():
        metrics.end_offset.labels(partition.topic, partition.partition).set(end)
