"""TLS on both ports with real certificates: renewed without a restart, and asked of clients."""

import contextlib
import socket
import ssl
from pathlib import Path

import httpx2
import pytest

from riverrun.client import AsyncClient, Client
from riverrun.errors import InvalidValue, RequestFailed
from serving.security.certificates import Certificates
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server
from tests.serving.security.authority import Authority


def served_serial(address: str, context: ssl.SSLContext, protocol: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    host, port = address.rsplit(":", 1)
    context.set_alpn_protocols([protocol])
    with (
        socket.create_connection((host.removeprefix("https://"), int(port))) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        found = secure.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


def reloads(server: RunningServer, outcome: str) -> float:
    labels = {"what": "certificate", "outcome": outcome}
    return server.metric("riverrun_serving_reloads_total", labels)


async def test_a_renewed_certificate_is_shown_to_the_next_connection_and_cuts_none(
    published: Published, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "pki")
    cert, key, first = authority.issue("server")
    version = published.publish(1)
    context = authority.client_context()
    with running_server(published.root, tls_cert=cert, tls_key=key) as server:
        address = server.wait_ready()
        web = server.http_address
        with Client(address, tls_ca=authority.ca, timeout_s=30) as before:
            assert before.generate("x", max_tokens=2).version.id == version
            assert served_serial(address, context, "h2") == first
            assert served_serial(web, context, "http/1.1") == first

            _, _, second = authority.issue("server")
            assert second != first
            assert served_serial(address, context, "h2") == second
            assert served_serial(web, context, "http/1.1") == second
            assert reloads(server, "done") == 1

            good = cert.read_bytes()
            cert.write_bytes(good[: len(good) // 2])
            assert served_serial(address, context, "h2") == second
            assert served_serial(web, context, "http/1.1") == second
            assert reloads(server, "failed") == 1
            cert.write_bytes(good)
            assert served_serial(web, context, "http/1.1") == second
            assert before.generate("x", max_tokens=2).version.id == version
        async with AsyncClient(address, tls_ca=authority.ca, timeout_s=30) as client:
            assert (await client.generate("x", max_tokens=2)).version.id == version
        ready = httpx2.get(f"{web}/readyz", verify=authority.client_context())
        assert (ready.status_code, ready.text) == (200, "serving\n")


def test_mutual_tls_lets_nobody_in_without_a_certificate_of_that_authority(
    published: Published, tmp_path: Path
) -> None:
    authority, strangers = Authority(tmp_path / "pki"), Authority(tmp_path / "strangers")
    cert, key, _ = authority.issue("server")
    ours = authority.issue("client", "client")[:2]
    theirs = strangers.issue("client", "client")[:2]
    published.publish(1)
    options = {"tls_cert": cert, "tls_key": key, "tls_client_ca": authority.ca}
    with running_server(published.root, **options) as server:
        address, web = server.wait_ready(), server.http_address
        for pair, is_let_in in ((ours, True), (theirs, False), (None, False)):
            tls_cert, tls_key = pair or (None, None)
            with Client(
                address,
                tls_ca=authority.ca,
                tls_cert=tls_cert,
                tls_key=tls_key,
                timeout_s=10,
                retries=0,
            ) as client:
                if is_let_in:
                    assert client.generate("x", max_tokens=2).text
                else:
                    with pytest.raises(RequestFailed) as failed:
                        client.generate("x", max_tokens=2)
                    assert failed.value.code == "UNAVAILABLE"
            context = authority.client_context(pair)
            if is_let_in:
                assert httpx2.get(f"{web}/v1/models", verify=context).status_code == 200
            else:
                with pytest.raises(httpx2.TransportError):
                    httpx2.get(f"{web}/v1/models", verify=context)


def test_renewed_authorities_of_clients_count_from_the_next_connection_and_cut_none(
    published: Published, tmp_path: Path
) -> None:
    before, after = Authority(tmp_path / "before"), Authority(tmp_path / "after")
    cert, key, _ = before.issue("server")
    pairs = [one.issue("client", "client")[:2] for one in (before, after)]
    client_ca = tmp_path / "clients.pem"
    client_ca.write_bytes(before.ca.read_bytes())
    published.publish(1)
    options = {"tls_cert": cert, "tls_key": key, "tls_client_ca": client_ca}
    with running_server(published.root, **options) as server:
        address, web = server.wait_ready(), server.http_address

        def let_in(pair: tuple[Path, Path]) -> tuple[bool, bool]:
            """Whether a new connection with this certificate is, by gRPC and by HTTP."""
            tls = {"tls_ca": before.ca, "tls_cert": pair[0], "tls_key": pair[1]}
            by_grpc = by_http = False
            with (
                contextlib.suppress(RequestFailed),
                Client(address, **tls, timeout_s=10, retries=0) as client,
            ):
                by_grpc = client.status().state == "serving"
            with contextlib.suppress(httpx2.TransportError):
                answered = httpx2.get(f"{web}/v1/models", verify=before.client_context(pair))
                by_http = answered.status_code == 200
            return by_grpc, by_http

        assert [let_in(pair) for pair in pairs] == [(True, True), (False, False)]
        tls_cert, tls_key = pairs[0]
        open_before = Client(
            address, tls_ca=before.ca, tls_cert=tls_cert, tls_key=tls_key, timeout_s=10, retries=0
        )
        with open_before as client:
            assert client.status().state == "serving"
            client_ca.write_bytes(after.ca.read_bytes())
            assert [let_in(pair) for pair in pairs] == [(False, False), (True, True)]
            assert reloads(server, "done") == 1
            assert client.status().state == "serving"

            client_ca.write_bytes(b"no certificate")
            assert [let_in(pair) for pair in pairs] == [(False, False), (True, True)]
            assert reloads(server, "failed") == 1


def test_a_port_with_tls_answers_nobody_in_plain_text(published: Published, tmp_path: Path) -> None:
    cert, key, _ = Authority(tmp_path / "pki").issue("server")
    published.publish(1)
    with running_server(published.root, tls_cert=cert, tls_key=key) as server:
        with (
            Client(server.wait_ready(), timeout_s=10, retries=0) as client,
            pytest.raises(RequestFailed),
        ):
            client.generate("x")
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{server.http_address.replace('https', 'http')}/healthz")


def test_a_certificate_must_have_the_name_that_is_asked_for(
    published: Published, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "pki")
    cert, key, _ = authority.issue("server", "river.example")
    published.publish(1)
    with running_server(published.root, tls_cert=cert, tls_key=key) as server:
        address = server.wait_ready()
        with (
            Client(address, tls_ca=authority.ca, timeout_s=10, retries=0) as client,
            pytest.raises(RequestFailed),
        ):
            client.status()
        with Client(address, tls_ca=authority.ca, tls_name="river.example", timeout_s=10) as client:
            assert client.status().state == "serving"


def test_files_that_do_not_fit_are_named_by_their_setting(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key, _ = authority.issue("one")
    _, other_key, _ = authority.issue("two")
    nothing = tmp_path / "nothing.pem"
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for given, field in (
        ((nothing, key, None), "serving.tls_cert"),
        ((cert, nothing, None), "serving.tls_key"),
        ((cert, other_key, None), "serving.tls_cert, serving.tls_key"),
        ((empty, key, None), "serving.tls_cert, serving.tls_key"),
        ((cert, key, nothing), "serving.tls_client_ca"),
        ((cert, key, empty), "serving.tls_client_ca"),
    ):
        with pytest.raises(InvalidValue) as refused:
            Certificates(*given)
        assert refused.value.field == field
