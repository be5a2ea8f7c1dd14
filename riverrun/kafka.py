"""How our clients reach Kafka: the address, the credentials, the names of the topics.

kafka-python takes `client_options`; the stream translates the same settings for faust
(`stream/broker.py`). Knows nothing of the embedded broker but that it announces an address.
"""

from typing import Any

from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import Workspace


class Topics:
    """The topic names of one system (design, section 3), and `control`, the operator's."""

    def __init__(self, prefix: str) -> None:
        self.raw = f"{prefix}raw"
        self.clean = f"{prefix}clean"
        self.dead_letter = f"{prefix}dead-letter"
        self.feedback = f"{prefix}feedback"
        self.versions = f"{prefix}versions"
        self.control = f"{prefix}control"


def bootstrap_servers(settings: Settings, timeout_s: float) -> list[str]:
    """`host:port` of the Kafka to use: the one named in the settings, else the embedded one.

    Waits for the embedded broker to be ready; NotRunning when it is not in time.
    """
    if settings.kafka.bootstrap_servers:
        return [part.strip() for part in settings.kafka.bootstrap_servers.split(",")]
    record = Workspace(settings.data_dir).wait_ready("broker", timeout_s)
    assert record.address is not None, "a ready broker has an address"
    return [record.address]


def client_options(kafka: KafkaSettings, servers: list[str]) -> dict[str, Any]:
    """Keyword arguments that every kafka-python client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": servers,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.startswith("SASL_"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        if kafka.sasl_password is not None:
            options["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    if kafka.security_protocol.endswith("SSL"):
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(kafka, name)
            if path is not None:
                options[name] = str(path)
    return options


def why(kafka: KafkaSettings, error: Exception) -> str:
    """An error of a Kafka client in words. A refused password looks to it like no Kafka at all."""
    said = str(error).strip() or type(error).__name__
    if kafka.security_protocol == "PLAINTEXT":
        return said
    return f"{said}; it may be kafka.security_protocol={kafka.security_protocol} or its credentials"
