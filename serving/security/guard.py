"""The one question of both fronts: who calls, and may he.

Also says, before anything listens, which addresses may be listened on. Called by
`serving/server.py`, `serving/interceptor.py` and `serving/http/`.
"""

import ipaddress
from collections.abc import Callable

from riverrun.errors import InvalidValue, PermissionDenied, Unauthenticated
from riverrun.metrics import ServingMetrics
from riverrun.settings import ServingSettings
from serving.security.certificates import Certificates
from serving.security.roles import Role, may
from serving.security.tokens import Grant, Tokens

SCHEME = "bearer"
ANYBODY = Grant("", "admin")
"""Where there are no tokens: the address alone decides who gets here."""


class Guard:
    """What the settings say of tokens and certificates."""

    def __init__(self, settings: ServingSettings, metrics: ServingMetrics) -> None:
        """
        Raises:
            InvalidValue: an address that may not be listened on, or files that cannot be used.
        """
        check_exposure(settings)

        def counts(what: str) -> Callable[[bool], None]:
            return lambda taken: metrics.reloads.labels(what, "done" if taken else "failed").inc()

        self._tokens: Tokens | None = None
        if settings.tokens_file is not None:
            self._tokens = Tokens(settings.tokens_file, on_reload=counts("tokens"))
        self.certificates: Certificates | None = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            self.certificates = Certificates(
                settings.tls_cert,
                settings.tls_key,
                settings.tls_client_ca,
                on_reload=counts("certificate"),
            )

    @property
    def has_tokens(self) -> bool:
        return self._tokens is not None

    def caller(self, authorization: str | None) -> Grant | None:
        """Whose call it is, by its `authorization`; None for one whose it cannot be told."""
        if self._tokens is None:
            return ANYBODY
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        return self._tokens.find(token.strip())


def check(caller: Grant | None, needed: Role) -> None:
    """
    Raises:
        Unauthenticated: nobody that we know.
        PermissionDenied: his role is not enough.
    """
    if caller is None:
        raise Unauthenticated("this takes `authorization: Bearer TOKEN`, with a token known here")
    if not may(caller.role, needed):
        raise PermissionDenied(caller.name, caller.role, needed)


def check_exposure(settings: ServingSettings) -> None:
    """Refuse settings that would show the model, or tokens, to a network unprotected.

    Raises:
        InvalidValue: names the setting that is missing.
    """
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing = "serving.tls_key" if settings.tls_key is None else "serving.tls_cert"
        raise InvalidValue(missing, None, "a PEM file, as the other of the two is set")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise InvalidValue(
            "serving.tls_client_ca", str(settings.tls_client_ca), "nothing without serving.tls_cert"
        )
    if is_loopback(settings.host) or settings.allow_insecure:
        return
    where = f"serving.host = {settings.host} is not loopback"
    way_out = "or serving.allow_insecure = true, where something else protects the network"
    if settings.tls_cert is None:
        allowed = f"a certificate: {where}, and its text and tokens would be for all to read; "
        raise InvalidValue("serving.tls_cert", None, allowed + way_out)
    if settings.tokens_file is None and settings.tls_client_ca is None:
        allowed = (
            f"a file of tokens (or serving.tls_client_ca): {where}, and whoever reaches it could "
            f"command the learner; "
        )
        raise InvalidValue("serving.tokens_file", None, allowed + way_out)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name is one only if it is localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
