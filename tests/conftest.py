"""What tests share: the real Kafka, one broker a session with topics of its own for each test; and
SmolLM2 from the cache."""

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


@pytest.fixture(scope="session")
def smollm2_dir() -> Path:
    """Its files; whoever needs them skips, and says why, where nobody has fetched it."""
    from riverrun.errors import ModelError
    from riverrun.model import zoo

    try:
        return zoo.locate("smollm2")
    except ModelError as error:
        pytest.skip(str(error))
