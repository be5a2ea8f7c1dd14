"""A client of the system that the settings describe: its TLS, and the token of whoever runs us.

Called by the commands that ask serving. Elsewhere `riverrun.Client` takes the same as arguments.
"""

import os
from typing import Any

from riverrun.client import Client
from riverrun.errors import InvalidValue
from riverrun.settings import Settings

TOKEN_VARIABLE = "RIVERRUN_TOKEN"


def connect(settings: Settings, address: str, **options: Any) -> Client:
    """
    options: as `Client` takes them.

    Raises:
        InvalidValue: files that cannot be read, or a token without TLS to another machine.
    """
    return Client(address, **security_of(settings), **options)


def security_of(settings: Settings) -> dict[str, Any]:
    """`Client`'s arguments of security, from the settings and the environment."""
    client = settings.client
    return {
        "tls": client.tls or settings.serving.tls_cert is not None,
        "tls_ca": client.tls_ca,
        "tls_cert": client.tls_cert,
        "tls_key": client.tls_key,
        "tls_name": client.tls_name,
        "token": token_of(settings),
    }


def token_of(settings: Settings) -> str | None:
    """The token of whoever runs this command; None for none."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return token
    path = settings.client.token_file
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue("client.token_file", str(path), "a file that holds a token") from error
