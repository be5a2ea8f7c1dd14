"""The channel to a server: TLS, the token, metadata, the generated stubs.

Called by both clients.
"""

import uuid
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from riverrun.errors import InvalidValue
from riverrun.v1 import admin_pb2_grpc, feedback_pb2_grpc, generation_pb2_grpc, model_pb2_grpc

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # Each client its own connection: gRPC would share one among all of a process.
    ("grpc.use_local_subchannel_pool", 1),
]
LOOPBACK = ("127.", "localhost:", "[::1]", "unix:")


class Security:
    """How a client proves itself and knows the server.

    tls_ca: PEM file of the authority that signed the server's certificate. tls_cert, tls_key: our
    own, for mutual TLS. tls: TLS by the system's authorities, where no `tls_ca` is given. tls_name:
    the name that the certificate must have, where it is not the address.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        tls_ca: str | Path | None = None,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        tls_name: str | None = None,
        token: str | None = None,
    ) -> None:
        """
        Raises:
            InvalidValue: a file that cannot be read, a certificate without a key, a bad token.
        """
        if (tls_cert is None) != (tls_key is None):
            raise InvalidValue("tls_cert, tls_key", "one of the two", "both, or neither")
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            # Never the token itself: an error is logged.
            raise InvalidValue("token", "…", "printable ASCII characters")
        self.is_tls = tls or tls_ca is not None or tls_cert is not None
        self._pem = [_read(name, path) for name, path in _files(tls_ca, tls_key, tls_cert)]
        self.token = token
        self.options = list(OPTIONS)
        if tls_name is not None:
            self.options.append(("grpc.ssl_target_name_override", tls_name))

    def credentials(self) -> Any:
        root, key, chain = self._pem
        return grpc.ssl_channel_credentials(root, key, chain)

    def check(self, address: str) -> None:
        """Raises InvalidValue where the token would go over a network for all to read."""
        if self.token is not None and not self.is_tls and not address.startswith(LOOPBACK):
            raise InvalidValue("token", "…", f"TLS (tls_ca=…), as {address} is not this machine")

    def metadata(self, request_id: str | None) -> list[tuple[str, str]]:
        """What goes with a call."""
        metadata = [("x-request-id", request_id or uuid.uuid4().hex)]
        if self.token is not None:
            metadata.append(("authorization", f"Bearer {self.token}"))
        return metadata


def channel(address: str, security: Security) -> Any:
    security.check(address)
    if security.is_tls:
        return grpc.secure_channel(address, security.credentials(), security.options)
    return grpc.insecure_channel(address, OPTIONS)


def aio_channel(address: str, security: Security) -> Any:
    security.check(address)
    if security.is_tls:
        return grpc.aio.secure_channel(address, security.credentials(), security.options)
    return grpc.aio.insecure_channel(address, OPTIONS)


class Stubs:
    """The generated stubs of one channel, which have no types."""

    def __init__(self, channel: Any) -> None:
        generation: Any = generation_pb2_grpc.GenerationStub
        model: Any = model_pb2_grpc.ModelStub
        feedback: Any = feedback_pb2_grpc.FeedbackStub
        admin: Any = admin_pb2_grpc.AdminStub
        self.generation = generation(channel)
        self.model = model(channel)
        self.feedback = feedback(channel)
        self.admin = admin(channel)


def _files(
    ca: str | Path | None, key: str | Path | None, cert: str | Path | None
) -> list[tuple[str, str | Path | None]]:
    """In the order in which grpc takes them."""
    return [("tls_ca", ca), ("tls_key", key), ("tls_cert", cert)]


def _read(name: str, path: str | Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidValue(name, str(path), f"a PEM file ({error.strerror})") from error
