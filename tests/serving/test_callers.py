"""Who is a client, over real sockets: one that floods the only row delays another by one answer.

What is fair between clients is in `test_fairness.py`; here is how a caller becomes one.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from riverrun.client import Client
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, held_engine, running_server, wait_for

FLOOD = 12
GREEDY, MODEST = "a-token-of-greedy-0123456789", "a-token-of-modest-0123456789"


def ended(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The ids of the calls for text, in the order of their ends."""
    records = [vars(one) for one in caplog.records if one.name == "riverrun.access"]
    ours = ("Complete", "http.completions")
    return [one["request_id"] for one in records if one["fields"]["method"] in ours]


class Crowd:
    """Calls of several callers that wait for one row."""

    def __init__(self, server: RunningServer, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack
        self._http = stack.enter_context(httpx2.Client(timeout=60))
        self._pool = stack.enter_context(ThreadPoolExecutor(FLOOD + 2))
        self._calls: list[Future[Any]] = []
        self._watcher = self.client(MODEST)

    def client(self, token: str | None = None) -> Client:
        client = Client(self._server.address, token=token, timeout_s=60, retries=0)
        return self._stack.enter_context(client)

    def ask(self, client: Client, name: str) -> None:
        """Over gRPC; comes back when it waits for the row."""
        self._submit(client.generate, "x", max_tokens=4, request_id=name)

    def ask_http(self, token: str | None, name: str) -> None:
        """Over HTTP, on a connection of its own, as all are open; comes back as `ask` does."""
        headers = {"x-request-id": name}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = {"model": "tiny", "prompt": "x", "max_tokens": 4}
        url = f"{self._server.http_address}/v1/completions"
        self._submit(self._http.post, url, json=body, headers=headers)

    def _submit(self, call: Any, *args: Any, **options: Any) -> None:
        self._calls.append(self._pool.submit(call, *args, **options))
        wait_for(lambda: self._num_waiting() == len(self._calls), "in the queue")

    def _num_waiting(self) -> int:
        return self._watcher.status().load.waiting

    def answers(self) -> list[Any]:
        return [call.result(60) for call in self._calls]


def test_the_name_of_a_token_is_a_client_whatever_connection_and_port_it_comes_by(
    published: Published, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tokens = tmp_path / "tokens"
    tokens.write_text(f"greedy read {GREEDY}\nmodest read {MODEST}\n")
    tokens.chmod(0o600)
    published.publish(1)
    options: dict[str, Any] = {"tokens_file": tokens, "max_rows": 1, "access_log": True}
    with running_server(published.root, **options) as server, ExitStack() as stack:
        server.wait_ready()
        crowd = Crowd(server, stack)
        with held_engine():
            for i in range(0, FLOOD, 2):
                crowd.ask(crowd.client(GREEDY), f"greedy-{i}")
                crowd.ask_http(GREEDY, f"greedy-{i + 1}")
            crowd.ask(crowd.client(MODEST), "modest")
            crowd.ask_http(MODEST, "modest-again")
        crowd.answers()
        wait_for(lambda: len(ended(caplog)) == FLOOD + 2, "all have ended")
    # Each waits for no more than the end of one answer of the other's.
    assert {"modest", "modest-again"} <= set(ended(caplog)[:5])


def test_without_tokens_an_address_is_one_client_of_http_however_many_connections_it_opens(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    published.publish(1)
    options = {"max_rows": 1, "access_log": True}
    with running_server(published.root, **options) as server, ExitStack() as stack:
        server.wait_ready()
        crowd = Crowd(server, stack)
        with held_engine():
            for i in range(FLOOD):
                crowd.ask_http(None, f"greedy-{i}")
            crowd.ask(crowd.client(), "modest")
        crowd.answers()
        wait_for(lambda: len(ended(caplog)) == FLOOD + 1, "all have ended")
    assert "modest" in ended(caplog)[:3]
