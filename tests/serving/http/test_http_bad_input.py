"""What HTTP refuses: with the status, the parameter and a body that OpenAI's clients read."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.http.conftest import COMPLETION, openai_client
from tests.serving.published import Published
from tests.serving.running_server import (
    RunningServer,
    running_server,
    wait_for,
)

CHAT: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "x"}],
    "max_tokens": 1,
}
BAD_COMPLETIONS: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": 7}, "model"),
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": [1, 2]}, "prompt"),
    ({"prompt": "x" * 5000}, "prompt"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": 10**9}, "max_tokens"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 1e300}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"min_p": 2}, "min_p"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"seed": 2**64}, "seed"),
    ({"seed": 0.5}, "seed"),
    ({"stop": 7}, "stop"),
    ({"stop": [7]}, "stop[0]"),
    ({"stop": [""]}, "stop[0]"),
    ({"stop": ["x"] * 17}, "stop"),
    ({"stop": ["x" * 300]}, "stop[0]"),
    ({"logprobs": 21}, "logprobs"),
    ({"logprobs": True}, "logprobs"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"other": 1}}, "stream_options.other"),
    ({"n": 2}, "n"),
    ({"best_of": 3}, "best_of"),
    ({"echo": True}, "echo"),
    ({"suffix": "end"}, "suffix"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"logit_bias": {"5": 100}}, "logit_bias"),
    ({"no_such_parameter": 1}, "no_such_parameter"),
    ({"version": "newest"}, "version"),
    ({"version": {"step": 3}}, "version.step"),
    ({"version": {"min_step": -1}}, "version.min_step"),
    ({"version": {"after": [41]}}, "version.after"),
    ({"version": {"after": {"-1": 41}}}, "version.after"),
    ({"version": {"after": {"0": "41"}}}, "version.after.0"),
    ({"version": {"after": {"0": -1}}}, "version.after.0"),
    ({"version": {"follow": True}}, "version.follow"),
    ({"version": {"wait_s": -1}}, "version.wait_s"),
    ({"version": {"id": "a", "min_step": 1}}, "version.id"),
    ({"model": "tiny@a", "version": {"id": "b"}}, "version.id"),
]
BAD_CHATS: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": ["hello"]}, "messages[0]"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0]",
    ),
    (
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]},
        "messages[0].tool_calls",
    ),
    ({"messages": [{"role": "user", "content": "x", "odd": 1}]}, "messages[0].odd"),
    ({"max_completion_tokens": 2}, "max_tokens"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": 3}, "logprobs"),
    ({"tools": [{"type": "function"}]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
]


def test_every_bad_field_is_named_and_the_server_goes_on(server: RunningServer) -> None:
    url = f"{server.http_address}/v1"
    with httpx2.Client() as http:
        for path, base, cases in (
            ("completions", COMPLETION, BAD_COMPLETIONS),
            ("chat/completions", CHAT, BAD_CHATS),
        ):
            for change, param in cases:
                answered = http.post(f"{url}/{path}", json={**base, **change})
                assert answered.status_code == 400, (change, answered.text)
                error = answered.json()["error"]
                assert error["param"] == param, (change, error)
                assert error["type"] == "invalid_request_error"
                assert error["message"]
        assert http.post(f"{url}/completions", json=COMPLETION).status_code == 200
        assert http.post(f"{url}/chat/completions", json=CHAT).status_code == 200


def test_what_changes_no_answer_is_taken(ai: openai.OpenAI) -> None:
    answer = ai.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "x", "name": "anna"}],
        max_tokens=1,
        n=1,
        presence_penalty=0,
        frequency_penalty=0,
        logit_bias={},
        response_format={"type": "text"},
        tool_choice="none",
        user="anna",
        metadata={"a": "b"},
        store=False,
        extra_body={"top_k": -1, "min_p": 0.1, "repetition_penalty": 1.2},
    )
    assert answer.choices


@pytest.mark.parametrize(
    ("content", "content_type", "status", "param"),
    [
        (b"{not json", "application/json", 400, "body"),
        (b"[1]", "application/json", 400, "body"),
        (b"\xff\xfe", "application/json", 400, "body"),
        (b"[" * 100_000, "application/json", 400, "body"),
        (b'{"model":"tiny","prompt":"\\ud800"}', "application/json", 400, None),
        (json.dumps(COMPLETION).encode(), "text/plain", 400, "content-type"),
        (b"x" * 5_000_000, "application/json", 413, None),
    ],
)
def test_a_body_that_is_none_is_refused(
    server: RunningServer, content: bytes, content_type: str, status: int, param: str | None
) -> None:
    url = f"{server.http_address}/v1/completions"
    answered = httpx2.post(url, content=content, headers={"Content-Type": content_type})
    assert answered.status_code == status, answered.text
    error = answered.json()["error"]
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert error["param"] == param
    assert httpx2.post(url, json=COMPLETION).status_code == 200


def test_a_path_a_method_and_an_id_that_are_none_are_said_so(server: RunningServer) -> None:
    url = server.http_address
    assert httpx2.get(f"{url}/v1/nothing").status_code == 404
    wrong = httpx2.get(f"{url}/v1/completions")
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["allow"]
    named = httpx2.get(f"{url}/v1/models", headers={"x-request-id": "mine-1"})
    assert named.headers["x-request-id"] == "mine-1"
    assert named.headers["server"] == "riverrun"
    bad = httpx2.get(f"{url}/v1/models", headers={"x-request-id": "no spaces"})
    assert bad.status_code == 400
    assert bad.json()["error"]["param"] == "x-request-id"
    assert bad.headers["x-request-id"] != "no spaces"


def test_a_page_of_another_name_does_not_get_here_where_there_are_no_tokens(
    server: RunningServer,
) -> None:
    url = f"{server.http_address}/v1/models"
    assert httpx2.get(url, headers={"Host": "rebound.example"}).status_code == 400
    assert httpx2.get(url, headers={"Host": "localhost:1"}).status_code == 200


def test_a_port_that_is_taken_is_said_so(published: Published) -> None:
    published.publish(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = RunningServer(published.root, http_port=taken.getsockname()[1]).start()
        server._thread.join(30)
        assert server.fault is not None
        assert "serving.http_port" in str(server.fault)


def test_a_fault_in_the_middle_of_a_stream_is_its_last_event(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.http import shapes

    published.publish(1)
    piece = shapes.CompletionShape.piece

    def fails_at_the_end(self: Any, text: str, logprobs: Any, reason: Any) -> dict[str, Any]:
        if reason is not None:
            raise ZeroDivisionError("a secret of the inside")
        return piece(self, text, logprobs, reason)

    with running_server(published.root) as server:
        server.wait_ready()
        monkeypatch.setattr(shapes.CompletionShape, "piece", fails_at_the_end)
        with openai_client(server) as ai, pytest.raises(openai.APIError) as failed:
            list(
                ai.completions.create(
                    model="tiny", prompt="x", max_tokens=100, temperature=0, stream=True
                )
            )
        assert "ZeroDivisionError in the server" in str(failed.value)
        assert "secret" not in str(failed.value)
        labels = {"method": "http.completions", "code": "INTERNAL"}
        wait_for(lambda: server.metric("riverrun_serving_requests_total", labels) == 1, "counted")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "include_usage", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
NAMES = sorted(
    {name for change, _ in (*BAD_COMPLETIONS, *BAD_CHATS) for name in change} | {"user", "top_k"}
)


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client() as client:
        yield client


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    path=st.sampled_from(["completions", "chat/completions"]),
    change=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
def test_no_body_is_a_fault_of_the_server(
    server: RunningServer, http: httpx2.Client, path: str, change: dict[str, Any]
) -> None:
    base = COMPLETION if path == "completions" else CHAT
    answered = http.post(f"{server.http_address}/v1/{path}", json={**base, **change})
    assert answered.status_code in (200, 400, 404), answered.text
    if answered.status_code != 200:
        assert answered.json()["error"]["message"]
