"""The topics, in a real Kafka."""

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from riverrun.broker.topics import ensure_topics
from riverrun.errors import BrokerError, PartitionCountChanged
from riverrun.kafka import Topics
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import free_port


def configuration(kafka: str, topic: str) -> dict[str, str]:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    answer = admin.describe_configs([resource], config_filter="all")
    admin.close()
    return {name: entry["value"] for name, entry in answer["topic"][topic].items()}


def partition_counts(kafka: str, prefix: str) -> dict[str, int]:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    topics = admin.describe_topics()
    admin.close()
    return {t["name"]: len(t["partitions"]) for t in topics if t["name"].startswith(prefix)}


def test_all_five_topics_are_there_with_the_partition_counts_of_the_settings(
    kafka: str, kafka_settings: Settings
) -> None:
    topics = Topics(kafka_settings.kafka.topic_prefix)
    assert partition_counts(kafka, kafka_settings.kafka.topic_prefix) == {
        topics.raw: 4,
        topics.clean: 4,
        topics.dead_letter: 1,
        topics.feedback: 1,
        topics.versions: 1,
        topics.control: 1,
    }


def test_versions_are_compacted_and_text_is_kept_for_ever(
    kafka: str, kafka_settings: Settings
) -> None:
    topics = Topics(kafka_settings.kafka.topic_prefix)
    assert configuration(kafka, topics.versions)["cleanup.policy"] == "compact"
    for topic in (topics.raw, topics.clean, topics.feedback):
        kept = configuration(kafka, topic)
        assert (kept["cleanup.policy"], kept["retention.ms"]) == ("delete", "-1")
        assert kept["max.message.bytes"] == str(kafka_settings.kafka.max_record_bytes)


def test_topics_that_are_there_are_left_as_they_are(kafka: str, kafka_settings: Settings) -> None:
    before = partition_counts(kafka, kafka_settings.kafka.topic_prefix)
    ensure_topics(kafka_settings, [kafka])
    assert partition_counts(kafka, kafka_settings.kafka.topic_prefix) == before


@pytest.mark.parametrize("count", [1, 8])
def test_another_partition_count_is_refused_with_topic_both_counts_and_the_reason(
    kafka: str, kafka_settings: Settings, count: int
) -> None:
    changed = kafka_settings.model_copy(
        update={"kafka": kafka_settings.kafka.model_copy(update={"num_partitions": count})}
    )
    raw = Topics(kafka_settings.kafka.topic_prefix).raw
    with pytest.raises(PartitionCountChanged) as refusal:
        ensure_topics(changed, [kafka])
    message = str(refusal.value)
    assert f"`{raw}` has 4 partitions" in message
    assert f"kafka.num_partitions is {count}" in message
    assert "what was learned is counted by partition and offset" in message


def test_a_kafka_that_is_not_there_is_one_clear_error_in_bounded_time(tmp_path) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = Settings(
        data_dir=tmp_path, kafka=KafkaSettings(bootstrap_servers=address, request_timeout_s=1.0)
    )
    with pytest.raises(BrokerError, match=address):
        ensure_topics(settings, [address])
