"""Which addresses may be listened on: loopback, or with a certificate and tokens, or on purpose."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riverrun.errors import InvalidValue
from riverrun.process import Running
from riverrun.settings import ServingSettings, Settings
from riverrun.workspace import Workspace
from serving.main import serve
from serving.security.guard import check_exposure, is_loopback

A = Path("a.pem")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    check_exposure(ServingSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "river.example", ""])
def test_another_address_needs_a_certificate_and_tokens(host: str) -> None:
    def refused(**options: Any) -> str:
        with pytest.raises(InvalidValue, match="allow_insecure") as error:
            check_exposure(ServingSettings(host=host, **options))
        return error.value.field

    assert not is_loopback(host)
    assert refused() == "serving.tls_cert"
    assert refused(tokens_file=A) == "serving.tls_cert"
    assert refused(tls_cert=A, tls_key=A) == "serving.tokens_file"
    for enough in (
        {"tls_cert": A, "tls_key": A, "tokens_file": A},
        {"tls_cert": A, "tls_key": A, "tls_client_ca": A},
        {"allow_insecure": True},
    ):
        check_exposure(ServingSettings(host=host, **enough))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"tls_cert": A}, "serving.tls_key"),
        ({"tls_key": A}, "serving.tls_cert"),
        ({"tls_client_ca": A}, "serving.tls_client_ca"),
    ],
)
def test_half_of_a_pair_is_refused_wherever_it_listens(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as error:
        check_exposure(ServingSettings(**options))
    assert error.value.field == field


def test_a_server_that_may_not_listen_does_not_start(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, model="tiny", device="cpu", serving=ServingSettings(host="0.0.0.0")
    )
    running = Running("serving", Workspace(tmp_path), CollectorRegistry())
    with pytest.raises(InvalidValue, match=r"serving\.tls_cert"):
        asyncio.run(serve(settings, running))
    assert Workspace(tmp_path).record("serving") is None
