"""Our Kafka settings in the words of faust and aiokafka.

Knows nothing of topics and records. Called by the app, the gap probe and the clean tail.
"""

import ssl
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from yarl import URL

from riverrun.errors import InvalidValue
from riverrun.settings import KafkaSettings

Credentials = SASLCredentials | SSLCredentials

ISOLATION_LEVEL = "read_committed"
"""Of all that we read: a producer may abort a transaction."""


def broker_urls(servers: list[str]) -> list[URL]:
    """`host:port` as faust wants it."""
    return [URL(f"kafka://{server}") for server in servers]


def credentials(kafka: KafkaSettings) -> Credentials | None:
    """What proves who we are; None for a Kafka that does not ask.

    Raises InvalidValue when a file or a name is missing.
    """
    tls = tls_context(kafka) if kafka.security_protocol.endswith("SSL") else None
    if not kafka.security_protocol.startswith("SASL_"):
        return None if tls is None else SSLCredentials(context=tls)
    if kafka.sasl_username is None or kafka.sasl_password is None:
        raise InvalidValue(
            "kafka.sasl_username, kafka.sasl_password",
            "not both set",
            f"a name and a password with {kafka.security_protocol}",
        )
    return SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password.get_secret_value(),
        mechanism=kafka.sasl_mechanism,
        ssl_context=tls,
    )


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Whom we trust (the system's authorities unless `ssl_cafile` is set), and our certificate."""
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("ssl_cafile", kafka.ssl_cafile, error) from error
    if kafka.ssl_certfile is not None:
        try:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("ssl_certfile", kafka.ssl_certfile, error) from error
    return context


def client_options(kafka: KafkaSettings, servers: list[str]) -> dict[str, Any]:
    """Keyword arguments of an aiokafka client."""
    auth: dict[str, Any] = dict(credentials_to_aiokafka_auth(credentials(kafka)))
    return {"bootstrap_servers": servers, **auth}


def lone_consumer(kafka: KafkaSettings, servers: list[str], **options: Any) -> AIOKafkaConsumer:
    """A consumer of no group, not started: it reads what was committed, and commits nothing."""
    return AIOKafkaConsumer(
        **client_options(kafka, servers),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=ISOLATION_LEVEL,
        **options,
    )


def _unusable(field: str, path: Path | None, error: Exception) -> InvalidValue:
    return InvalidValue(f"kafka.{field}", str(path), f"a PEM file that can be read ({error})")
