"""A client that asks over HTTP and does not read: his row, his call and his connection end."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psutil
import pytest
from aiohttp import web

from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, slowed_engine, wait_for

SEND_TIMEOUT_S = 0.5
BUFFER_BYTES = 4096
MIN_TOKENS = 150
"""Of the answer that is not read; with its alternatives it is 200 kB and more."""


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections inherit the port's; by default the kernel would take the whole answer."""
    start = web.TCPSite.start

    async def start_small(site: web.TCPSite) -> None:
        await start(site)
        server: Any = site._server
        for listening in server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)

    monkeypatch.setattr(web.TCPSite, "start", start_small)


def wide_chat(server: RunningServer) -> dict[str, Any]:
    """A question with a long answer."""
    for i in range(30):
        body = {
            "model": "tiny",
            "messages": [{"role": "user", "content": f"unread {i}"}],
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        url = f"{server.http_address}/v1/chat/completions"
        answered = httpx2.post(url, json=body, timeout=60)
        if answered.json()["usage"]["completion_tokens"] >= MIN_TOKENS:
            return body
    raise AssertionError("no answer is long")


@contextmanager
def unread(server: RunningServer, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A connection that has asked this."""
    host, port = server.http_address.removeprefix("http://").rsplit(":", 1)
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        connection.settimeout(20)
        connection.connect((host, int(port)))
        connection.sendall(head.encode() + data)
        yield connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """What was sent before the connection was cut; fails where it was not."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def count(server: RunningServer, code: str) -> float:
    labels = {"method": "http.chat", "code": code}
    return server.metric("riverrun_serving_requests_total", labels)


def num_connections(server: RunningServer) -> int:
    """Those that the server's end holds open."""
    port = int(server.http_address.rsplit(":", 1)[1])
    found = psutil.Process().net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in found)


@pytest.mark.parametrize("max_unread_tokens", [1000, 100_000])
def test_a_stream_that_nobody_reads_is_cut_off_in_time(
    published: Published, caplog: pytest.LogCaptureFixture, max_unread_tokens: int
) -> None:
    published.publish(1)
    options = {"max_unread_tokens": max_unread_tokens, "send_timeout_s": SEND_TIMEOUT_S}
    with running_server(published.root, max_rows=1, **options) as server:
        server.wait_ready()
        body = {**wide_chat(server), "stream": True}
        # So slow that it is sent as it comes, until the buffers are full.
        with slowed_engine(0.01), unread(server, body) as connection:
            wait_for(lambda: count(server, "ABORTED") == 1, "the call's end")
            wait_for(lambda: num_connections(server) == 0, "the connection's end")
            assert b"[DONE]" not in read_to_the_end(connection)
        ended = "riverrun_serving_ended_early_total"
        assert server.metric(ended, {"reason": "slow_reader"}) == 1
        wait_for(lambda: server.metric("riverrun_serving_rows") == 0, "the row")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_whole_answer_that_nobody_reads_is_cut_off_in_time(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    published.publish(1)
    options = {"max_unread_tokens": 100_000, "send_timeout_s": SEND_TIMEOUT_S}
    with running_server(published.root, **options) as server:
        server.wait_ready()
        body = wide_chat(server)
        answered = count(server, "OK")
        with unread(server, body) as connection:
            wait_for(lambda: count(server, "OK") == answered + 1, "the answer")
            wait_for(lambda: num_connections(server) == 0, "the connection's end")
            assert not read_to_the_end(connection).endswith(b"}")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_whole_answer_is_gathered_here_and_no_slow_reader_s(published: Published) -> None:
    published.publish(1)
    with running_server(published.root, max_unread_tokens=64) as server:
        server.wait_ready()
        wide_chat(server)
        assert count(server, "ABORTED") == 0
