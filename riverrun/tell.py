"""A command to the learner, written to `control`, and its answer out of the audit log.

Called by the command line; serving's Admin service does the same for gRPC. A command that is sent
again with the same id acts once. With no learner running it waits in Kafka for the next one.
"""

import time

from riverrun.audit_log import answer_to, go_to_tail
from riverrun.commands import Command
from riverrun.errors import BrokerError, Refused
from riverrun.kafka import Topics, bootstrap_servers, client_options, why
from riverrun.records import VersionEvent, encode
from riverrun.settings import Settings

BROKER_PATIENCE_S = 5.0


def tell(settings: Settings, command: Command, wait_s: float) -> VersionEvent | None:
    """Send `command`; its answer, or None when there was none within `wait_s`.

    Raises:
        Refused: the learner's answer is that.
        NotRunning, BrokerError: Kafka is away. What was not acknowledged may be sent again.
    """
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.errors import KafkaError

    topics = Topics(settings.kafka.topic_prefix)
    options = client_options(settings.kafka, bootstrap_servers(settings, BROKER_PATIENCE_S))
    timeout_s = settings.kafka.request_timeout_s
    try:
        consumer = KafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, isolation_level="read_committed"
        )
        try:
            # Before the command is sent, so that its answer lies ahead.
            go_to_tail(consumer, topics.versions)
            producer = KafkaProducer(**options, acks="all")
            try:
                sent = producer.send(topics.control, key=command.id.encode(), value=encode(command))
                sent.get(timeout=timeout_s)
            finally:
                producer.close(timeout=timeout_s)
            event = answer_to(consumer, command.id, time.monotonic() + wait_s)
        finally:
            consumer.close()
    except (KafkaError, OSError) as error:
        said = why(settings.kafka, error)
        raise BrokerError(f"the command {command.id} is not known to be written: {said}") from error
    if event is not None and event.kind == "refused":
        raise Refused(f"{command.kind} was refused: {event.reason}")
    return event
