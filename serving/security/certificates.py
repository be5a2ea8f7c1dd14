"""The server's certificate, its key and the authorities of its clients, as the files are now.

Each handshake asks, so a renewed certificate is used from the next connection on and none is cut.
Files that do not fit each other (a renewal that is half written) change nothing: the old ones stay
until they do. Called by both fronts.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from riverrun.errors import InvalidValue
from serving.security.file_stamps import stamp_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files held, and the same as a context for HTTP."""

    chain: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext


class Certificates:
    """From any thread: gRPC asks from threads of its own."""

    def __init__(
        self,
        cert: Path,
        key: Path,
        client_ca: Path | None = None,
        *,
        on_reload: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        client_ca: only clients with a certificate of these authorities are let in.
        on_reload: told, after each change of the files, whether they were taken.

        Raises:
            InvalidValue: files that cannot be read or do not fit each other.
        """
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._paths = [path for path in (cert, key, client_ca) if path is not None]
        self._on_reload = on_reload
        self._lock = threading.Lock()
        self._stamp = stamp_of(self._paths)
        self._pem = self._read()

    def current(self) -> Pem:
        with self._lock:
            stamp = stamp_of(self._paths)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._pem = self._read()
                except InvalidValue as error:
                    log.error("the certificate stays as it was: %s", error)
                    self._on_reload(False)
                else:
                    log.info("the certificate was read again from %s", self._cert)
                    self._on_reload(True)
            return self._pem

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials that ask at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, self._client_ca is not None
        )

    def _configuration(self) -> Any:
        pem = self.current()
        return grpc.ssl_server_certificate_configuration([(pem.key, pem.chain)], pem.client_ca)

    def http_context(self) -> ssl.SSLContext:
        """A context that puts the current one in its place at each handshake."""

        def switch(connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self.current().context

        context = self._context()
        context.sni_callback = switch
        return context

    def _read(self) -> Pem:
        context = self._context()
        return Pem(
            chain=_bytes("serving.tls_cert", self._cert),
            key=_bytes("serving.tls_key", self._key),
            client_ca=None
            if self._client_ca is None
            else _bytes("serving.tls_client_ca", self._client_ca),
            context=context,
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _bytes("serving.tls_cert", self._cert)
        _bytes("serving.tls_key", self._key)
        try:
            # A password of our own: an encrypted key would ask for one on the terminal.
            context.load_cert_chain(self._cert, self._key, password="")
        except (ssl.SSLError, ValueError) as error:
            allowed = f"a PEM certificate and its key, not encrypted ({_said(error)})"
            shown = f"{self._cert}, {self._key}"
            raise InvalidValue("serving.tls_cert, serving.tls_key", shown, allowed) from error
        if self._client_ca is not None:
            _bytes("serving.tls_client_ca", self._client_ca)
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError as error:
                allowed = f"a PEM file of certificates ({_said(error)})"
                raise InvalidValue(
                    "serving.tls_client_ca", str(self._client_ca), allowed
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _bytes(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(field, str(path), f"a PEM file ({error.strerror})") from error


def _said(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
