"""A Kafka that asks for a password: what the settings say reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.broker.kafka_process import KafkaProcess
from riverrun.broker.topics import ensure_topics
from riverrun.errors import BrokerError
from riverrun.kafka import bootstrap_servers
from riverrun.produce import Record, produce
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import free_port


class GuardedKafka(KafkaProcess):
    """The embedded Kafka with a second listener, for alice alone."""

    guarded_port: int

    def _properties(self, data: str) -> str:
        plain = super()._properties(data)
        listeners = next(line for line in plain.splitlines() if line.startswith("listeners="))
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return (
            plain.replace(
                listeners, f"{listeners},SASL_PLAINTEXT://127.0.0.1:{self.guarded_port}"
            ).replace(
                f"advertised.listeners=PLAINTEXT://{self.address}",
                f"advertised.listeners=PLAINTEXT://{self.address},"
                f"SASL_PLAINTEXT://127.0.0.1:{self.guarded_port}",
            )
            + "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SASL_PLAINTEXT:SASL_PLAINTEXT\n"
            "sasl.enabled.mechanisms=PLAIN\n"
            f"listener.name.sasl_plaintext.plain.sasl.jaas.config={module} required "
            'user_alice="wonderland";\n'
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data_dir = tmp_path_factory.mktemp("guarded")
    GuardedKafka.guarded_port = free_port()
    with GuardedKafka(Settings(data_dir=data_dir, kafka=KafkaSettings(heap_mb=256))):
        yield f"127.0.0.1:{GuardedKafka.guarded_port}"


def settings(data_dir: Path, address: str, **kafka: object) -> Settings:
    given = {"bootstrap_servers": address, "request_timeout_s": 3.0, **kafka}
    return Settings(data_dir=data_dir, kafka=KafkaSettings.model_validate(given))


def test_the_right_password_makes_topics_and_produces(guarded: str, tmp_path: Path) -> None:
    alice = settings(
        tmp_path,
        guarded,
        security_protocol="SASL_PLAINTEXT",
        sasl_username="alice",
        sasl_password="wonderland",
    )
    ensure_topics(alice, bootstrap_servers(alice, 0))
    assert produce(alice, [Record(b"text")]).num_records == 1


def test_the_wrong_password_is_one_clear_error(guarded: str, tmp_path: Path) -> None:
    alice = settings(
        tmp_path,
        guarded,
        security_protocol="SASL_PLAINTEXT",
        sasl_username="alice",
        sasl_password="looking-glass",
    )
    with pytest.raises(BrokerError) as error:
        ensure_topics(alice, bootstrap_servers(alice, 0))
    assert guarded in str(error.value)
    assert "credentials" in str(error.value)
    assert "looking-glass" not in str(error.value)
    with pytest.raises(BrokerError):
        produce(alice, [Record(b"text")])
