import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from riverrun.errors import InvalidValue
from riverrun.settings import KafkaSettings
from stream.broker import broker_urls, client_options, credentials

SASL = {"sasl_username": "river", "sasl_password": SecretStr("run")}


def test_servers_become_kafka_urls() -> None:
    urls = broker_urls(["a.example:9092", "[::1]:9093"])
    assert [(url.scheme, url.host, url.port) for url in urls] == [
        ("kafka", "a.example", 9092),
        ("kafka", "::1", 9093),
    ]


def test_plaintext_needs_no_credentials() -> None:
    assert credentials(KafkaSettings()) is None
    assert client_options(KafkaSettings(), ["a:1"]) == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_and_tls_reach_aiokafka() -> None:
    kafka = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        **SASL,
    )
    options = client_options(kafka, ["a:1"])
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("river", "run")
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_sasl_without_a_password_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"kafka\.sasl_username, kafka\.sasl_password"):
        credentials(KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_username="river"))


@pytest.mark.parametrize("field", ["ssl_cafile", "ssl_certfile"])
def test_a_missing_certificate_is_named(field: str, tmp_path: Path) -> None:
    kafka = KafkaSettings.model_validate(
        {"security_protocol": "SSL", field: tmp_path / "missing.pem"}
    )
    with pytest.raises(InvalidValue, match=rf"kafka\.{field}: .*missing\.pem"):
        credentials(kafka)
