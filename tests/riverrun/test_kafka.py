"""What every Kafka client of ours is told."""

from pathlib import Path

import pytest

from riverrun.errors import NotRunning
from riverrun.kafka import Topics, bootstrap_servers, client_options
from riverrun.settings import KafkaSettings, Settings


def options(**kafka: object) -> dict[str, object]:
    return client_options(KafkaSettings.model_validate(kafka), ["a:1"])


def test_plaintext_carries_no_credentials() -> None:
    assert options(sasl_username="u", sasl_password="p", ssl_cafile="ca.pem") == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_carries_mechanism_user_and_password(mechanism: str) -> None:
    assert options(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_username="u",
        sasl_password="secret",
    ) == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "u",
        "sasl_plain_password": "secret",
    }


def test_tls_carries_the_files_that_are_named() -> None:
    assert options(security_protocol="SSL", ssl_cafile="ca.pem", sasl_username="u") == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "SSL",
        "ssl_cafile": "ca.pem",
    }


def test_sasl_over_tls_carries_both() -> None:
    given = options(
        security_protocol="SASL_SSL",
        sasl_username="u",
        sasl_password="secret",
        ssl_cafile="ca.pem",
        ssl_certfile="me.pem",
        ssl_keyfile="me.key",
    )
    assert given["sasl_plain_password"] == "secret"
    assert (given["ssl_cafile"], given["ssl_certfile"], given["ssl_keyfile"]) == (
        "ca.pem",
        "me.pem",
        "me.key",
    )


def test_every_client_of_kafka_python_takes_the_options() -> None:
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

    given = options(
        security_protocol="SASL_SSL",
        sasl_username="u",
        sasl_password="secret",
        ssl_cafile="ca.pem",
        ssl_certfile="me.pem",
        ssl_keyfile="me.key",
    )
    for client in (KafkaAdminClient, KafkaConsumer, KafkaProducer):
        assert set(given) <= set(client.DEFAULT_CONFIG), client


def test_a_password_is_not_shown_with_the_settings() -> None:
    assert "secret" not in repr(KafkaSettings.model_validate({"sasl_password": "secret"}))


def test_named_servers_are_used_and_none_is_waited_for(tmp_path: Path) -> None:
    kafka = KafkaSettings(bootstrap_servers="a:1, b:2")
    assert bootstrap_servers(Settings(data_dir=tmp_path, kafka=kafka), 0) == ["a:1", "b:2"]


def test_no_embedded_broker_in_time_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="broker is not running"):
        bootstrap_servers(Settings(data_dir=tmp_path), 0)


def test_every_topic_carries_the_prefix() -> None:
    assert vars(Topics("a-")) == {
        "raw": "a-raw",
        "clean": "a-clean",
        "dead_letter": "a-dead-letter",
        "feedback": "a-feedback",
        "versions": "a-versions",
        "control": "a-control",
    }
