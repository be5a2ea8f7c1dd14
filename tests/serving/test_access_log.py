"""What is told of a call: one line where it is asked for, and metrics by version and code."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from riverrun.client import Client
from riverrun.errors import RequestFailed
from serving.call import Call, RequestIds, answering
from tests.serving.published import Published
from tests.serving.running_server import (
    RunningServer,
    running_server,
    slowed_engine,
    wait_for,
)

PROMPT = "a prompt that nobody else may read"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [
        {"id": vars(record)["request_id"], **vars(record)["fields"]}
        for record in caplog.records
        if record.name == "riverrun.access"
    ]


def test_a_call_leaves_one_line_without_its_text(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    version = published.publish(1)
    with running_server(published.root, access_log=True) as server:
        with Client(server.wait_ready(), timeout_s=30, retries=0) as client:
            answer = client.generate(PROMPT, max_tokens=5, request_id="mine")
            with pytest.raises(RequestFailed):
                client.generate(PROMPT, max_tokens=10**6, request_id="wrong")
            list(client.stream(PROMPT, max_tokens=4, request_id="streamed"))
        httpx2.post(
            f"{server.http_address}/v1/completions",
            json={"model": "tiny", "prompt": PROMPT, "max_tokens": 3},
            headers={"x-request-id": "web"},
        )
        wait_for(lambda: len(lines(caplog)) == 4, "four lines")
    by_id = {line["id"]: line for line in lines(caplog)}
    assert {key: (line["method"], line["code"]) for key, line in by_id.items()} == {
        "mine": ("Complete", "OK"),
        "wrong": ("Complete", "INVALID_ARGUMENT"),
        "streamed": ("Generate", "OK"),
        "web": ("http.completions", "OK"),
    }
    mine = by_id["mine"]
    assert mine["version"] == version
    assert mine["prompt_tokens"] == answer.prompt_tokens
    assert mine["completion_tokens"] == answer.completion_tokens
    assert mine["seconds"]
    assert by_id["wrong"]["version"] == "-"
    assert all(str(line["peer"]).startswith("ipv4:127.0.0.1:") for line in by_id.values())
    assert PROMPT not in caplog.text
    assert answer.text not in caplog.text


def test_by_default_no_call_leaves_a_line(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    published.publish(1)
    with running_server(published.root) as server, Client(server.wait_ready()) as client:
        client.generate(PROMPT, max_tokens=2)
    assert not lines(caplog)
    assert PROMPT not in caplog.text


def test_times_are_counted_by_the_age_of_the_version(published: Published) -> None:
    name = "riverrun_serving_{}_seconds_count"
    published.publish(1)
    with running_server(published.root) as server:
        with Client(server.wait_ready(), timeout_s=30) as client:
            client.generate("x", max_tokens=4)
            assert server.metric(name.format("queue")) == 1
            assert server.metric(name.format("first_token"), {"version": "live"}) == 1
            assert server.metric(name.format("between_tokens"), {"version": "live"}) == 3
            wait_for(lambda: ages_of(server, name.format("answer")) == {"live"}, "counted")
            seen = {"live"}
            with slowed_engine(0.02):
                stream = client.stream("x", max_tokens=240)
                pieces = iter(stream)
                next(pieces)
                for step, age in ((2, "previous"), (3, "older")):
                    published.publish(step)
                    seen.add(age)
                    wait_for(lambda: ages_of(server, name.format("between_tokens")) == seen, age)
            list(pieces)
            wait_for(lambda: ages_of(server, name.format("answer")) == {"live", "older"}, "counted")
        assert ages_of(server, name.format("between_tokens")) == seen
        assert ages_of(server, name.format("first_token")) == {"live"}


def test_the_time_of_an_answer_is_counted_by_the_code_that_ended_it(
    published: Published, server: RunningServer, client: Client
) -> None:
    def counted(code: str) -> float:
        labels = {"version": "live", "code": code}
        return server.metric("riverrun_serving_answer_seconds_count", labels)

    def run_out_of_time() -> float:
        with pytest.raises(RequestFailed) as failed:
            client.generate("x", max_tokens=240, timeout_s=1.0)
        assert failed.value.code == "DEADLINE_EXCEEDED"
        return counted("DEADLINE_EXCEEDED")

    client.generate("x", max_tokens=2)
    with slowed_engine(0.05):
        # One that ends before its first token has no version to be counted by.
        wait_for(run_out_of_time, "an answer that was cut")
    assert counted("OK") == 1


def ages_of(server: RunningServer, name: str) -> set[str]:
    """Versions under which anything was counted."""
    return {
        sample.labels["version"]
        for metric in server.running.registry.collect()
        for sample in metric.samples
        if sample.name == name and sample.value
    }


def test_a_wait_for_a_version_is_no_wait_for_a_row(
    published: Published, server: RunningServer, client: Client
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.generate, "x", max_tokens=2, min_step=2)
        wait_for(lambda: server.metric("riverrun_serving_version_waits") == 1, "one that waits")
        time.sleep(0.5)
        published.publish(2)
        assert waiting.result(30).version.step == 2
    assert server.metric("riverrun_serving_queue_seconds_count") == 1
    assert server.metric("riverrun_serving_queue_seconds_sum") < 0.1
    first = server.metric("riverrun_serving_first_token_seconds_sum", {"version": "live"})
    assert first >= 0.5, "the client waited so long"


def test_what_is_logged_during_a_call_carries_its_id() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "x", (), None)
    with answering(Call("r7")):
        assert RequestIds().filter(record)
    assert vars(record)["request_id"] == "r7"
    outside = logging.LogRecord("x", logging.INFO, "x.py", 1, "x", (), None)
    assert RequestIds().filter(outside)
    assert not hasattr(outside, "request_id")
