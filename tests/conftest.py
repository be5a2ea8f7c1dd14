"""The real Kafka that tests share: one broker a session, topics of its own for each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.settings import KafkaSettings, Settings


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of an embedded broker that is there until the session ends."""
    from riverrun.broker.kafka_process import KafkaProcess

    settings = Settings(data_dir=tmp_path_factory.mktemp("kafka"), kafka=KafkaSettings(heap_mb=256))
    with KafkaProcess(settings) as broker:
        yield broker.address


@pytest.fixture
def kafka_settings(kafka: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a system of its own: a prefix with its five topics made, a data directory."""
    from kafka import KafkaAdminClient

    from riverrun.broker.topics import ensure_topics, topic_specifications

    settings = Settings(
        data_dir=tmp_path / "data",
        model="tiny",
        kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"t{uuid.uuid4().hex[:8]}-"),
    )
    ensure_topics(settings, [kafka])
    yield settings
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics(list(topic_specifications(settings.kafka)))
    admin.close()
