"""The topics of a system, made where they are missing, in the embedded Kafka or any other.

Knows nothing of what is in them. Called by `riverrun broker` before it says that it is ready, and
by whoever starts on a Kafka of the user's own.
"""

import logging
from typing import Any

from riverrun.errors import BrokerError, PartitionCountChanged
from riverrun.kafka import Topics, client_options, why
from riverrun.settings import KafkaSettings, Settings

FOREVER = "-1"
MONTH_MS = str(30 * 24 * 3600 * 1000)

log = logging.getLogger(__name__)


def topic_specifications(kafka: KafkaSettings) -> dict[str, dict[str, Any]]:
    """Name to partition count and configuration.

    Text, feedback and versions are kept for ever: the model can be rebuilt from them, and the
    learner stops rather than jump over an offset that is gone. Whoever wants less sets
    `retention.ms` on the topic; an existing topic's configuration is never changed. Dead letters
    go after 30 days.
    """
    topics = Topics(kafka.topic_prefix)
    kept = {"retention.ms": FOREVER, "retention.bytes": FOREVER}
    kinds: dict[str, tuple[int, dict[str, str]]] = {
        topics.raw: (kafka.num_partitions, kept),
        topics.clean: (kafka.num_partitions, kept),
        topics.dead_letter: (1, {"retention.ms": MONTH_MS}),
        topics.feedback: (1, kept),
        topics.versions: (1, {"cleanup.policy": "compact"}),
        topics.control: (1, kept),
    }
    # The embedded broker has the limit itself, where a later change holds for all its topics.
    limit = {"max.message.bytes": str(kafka.max_record_bytes)} if kafka.bootstrap_servers else {}
    return {
        name: {"num_partitions": count, "configs": {**configs, **limit}}
        for name, (count, configs) in kinds.items()
    }


def ensure_topics(settings: Settings, servers: list[str]) -> None:
    """Make the missing topics and wait until each has its leaders.

    Raises PartitionCountChanged when `raw` or `clean` has another count than the settings say,
    BrokerError when Kafka does not answer or refuses.
    """
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    kafka = settings.kafka
    timeout_ms = int(kafka.request_timeout_s * 1000)
    wanted = topic_specifications(kafka)
    try:
        admin = KafkaAdminClient(
            **client_options(kafka, servers),
            request_timeout_ms=timeout_ms,
            bootstrap_timeout_ms=timeout_ms,
        )
        try:
            there = _partition_counts(admin, set(wanted))
            _refuse_changed_counts(kafka, there)
            missing = {name: wanted[name] for name in wanted if name not in there}
            if missing:
                # Another process may make them at this moment: what counts is what is there then.
                answer = admin.create_topics(missing, raise_errors=False)
                _raise_refusals(answer)
                admin.wait_for_topics(list(missing), timeout_ms=timeout_ms)
                _refuse_changed_counts(kafka, _partition_counts(admin, set(wanted)))
                log.info("made the topics %s", ", ".join(missing))
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise BrokerError(
            f"Kafka at {', '.join(servers)} does not make the topics: {why(kafka, error)}"
        ) from error


def _partition_counts(admin: Any, names: set[str]) -> dict[str, int]:
    return {
        topic["name"]: len(topic["partitions"])
        for topic in admin.describe_topics()
        if topic["name"] in names
    }


def _refuse_changed_counts(kafka: KafkaSettings, there: dict[str, int]) -> None:
    topics = Topics(kafka.topic_prefix)
    for name in (topics.raw, topics.clean):
        count = there.get(name, kafka.num_partitions)
        if count != kafka.num_partitions:
            raise PartitionCountChanged(
                f"the topic `{name}` has {count} partitions, and kafka.num_partitions is "
                f"{kafka.num_partitions}. The count cannot change: a raw partition is a clean "
                f"partition, and what was learned is counted by partition and offset. "
                f"Set kafka.num_partitions={count}, or take another kafka.topic_prefix."
            )


def _raise_refusals(answer: dict[str, Any]) -> None:
    """Raise what Kafka refused; that another process was faster is no refusal."""
    from kafka.errors import TopicAlreadyExistsError, for_code

    for topic in answer["topics"]:
        code = topic["error_code"]
        if code not in (0, TopicAlreadyExistsError.errno):
            why = topic["error_message"] or for_code(code).__name__
            raise BrokerError(f"Kafka refuses to make the topic `{topic['name']}`: {why}")
