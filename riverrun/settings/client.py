"""Settings of the commands that talk to serving."""

from pathlib import Path

from pydantic import Field

from riverrun.settings.section import Section


class ClientSettings(Section):
    """How commands (`generate`, `status`, …) prove themselves to serving."""

    token_file: Path | None = Field(
        None,
        description="File that holds the token, and nothing else. The variable RIVERRUN_TOKEN "
        "goes before it.",
    )
    tls: bool = Field(
        False,
        description="Call a server elsewhere by TLS. Needless where `serving.tls_cert` or `tls_ca` "
        "is set.",
    )
    tls_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that may sign serving's certificate. Unset: the "
        "system's.",
    )
    tls_cert: Path | None = Field(
        None, description="PEM file of the commands' own certificate, for mutual TLS."
    )
    tls_key: Path | None = Field(None, description="PEM file of that certificate's key.")
    tls_name: str | None = Field(
        None,
        description="Name that serving's certificate must have, where it is not the address: "
        "commands on the same machine call 127.0.0.1.",
    )
