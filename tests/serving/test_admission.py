"""Who gets a row, who waits, who is refused, and what a client that goes leaves behind: nothing."""

import contextlib
import time

import pytest

from riverrun.client import AnswerStream, Client
from riverrun.errors import RequestFailed
from serving.admission import RETRY_AFTER_S
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, held_engine, running_server, wait_for


def test_a_client_that_goes_frees_its_row(server: RunningServer, client: Client) -> None:
    stream = client.stream("long", max_tokens=250)
    next(iter(stream))
    stream.cancel()
    wait_for(lambda: client.status().load.rows == 0, "the row")
    labels = {"method": "Generate", "code": "CANCELLED"}
    wait_for(lambda: server.metric("riverrun_serving_requests_total", labels) == 1, "counted")
    assert client.status().load.generated_tokens < 250


def test_a_deadline_frees_the_row_and_the_place_in_the_queue(published: Published) -> None:
    published.publish(1)
    with (
        running_server(published.root, max_rows=1, max_waiting=1) as server,
        Client(server.wait_ready(), timeout_s=60) as client,
    ):
        with held_engine():
            for _ in range(2):
                with pytest.raises(RequestFailed) as failed:
                    client.generate("late", timeout_s=0.5)
                assert failed.value.code == "DEADLINE_EXCEEDED"
            wait_for(lambda: server.codes() == {"DEADLINE_EXCEEDED": 2}, "counted")
        wait_for(lambda: client.status().load.rows + client.status().load.waiting == 0, "freed")
        assert client.generate("in time", max_tokens=2).completion_tokens <= 2


def test_more_than_the_queue_holds_is_refused_at_once_with_a_time_to_wait(
    published: Published,
) -> None:
    published.publish(1)
    with (
        running_server(published.root, max_rows=1, max_waiting=1) as server,
        Client(server.wait_ready(), timeout_s=60) as client,
    ):
        streams: list[AnswerStream] = []
        with held_engine(), contextlib.ExitStack() as stack:
            for i in range(2):
                streams.append(client.stream(f"held {i}", max_tokens=4))
                stack.callback(streams[-1].cancel)
                wait_for(lambda: client.status().load.waiting == len(streams), "in the queue")
            with Client(server.address, timeout_s=60, retries=0) as impatient:
                # The best of many: the others share their core with this machine's other work.
                wait_for(lambda: refused(impatient, "one too many") < 0.005, "within 5 ms")
        wait_for(lambda: client.status().load.rows + client.status().load.waiting == 0, "freed")
        assert client.generate("room again", max_tokens=2).completion_tokens <= 2


def test_more_tokens_than_may_be_open_are_refused_at_once_with_a_time_to_wait(
    published: Published,
) -> None:
    published.publish(1)
    with (
        running_server(published.root, max_rows=1, max_waiting_tokens=100) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
        held_engine(),
        contextlib.ExitStack() as stack,
    ):
        # One row of 256 tokens and 100 beyond; a prompt's tokens are its bytes.
        for i, max_tokens in enumerate((240, 90)):
            stack.callback(client.stream(f"held {i}", max_tokens=max_tokens).cancel)
            wait_for(lambda i=i: client.status().load.waiting == i + 1, "in the queue")
        wait_for(lambda: refused(client, "too many", max_tokens=10) < 0.005, "within 5 ms")
        assert client.status().load.waiting == 2, "nothing of what was refused is kept"
        stack.callback(client.stream("fits", max_tokens=8).cancel)
        wait_for(lambda: client.status().load.waiting == 3, "in the queue")


def refused(client: Client, prompt: str, max_tokens: int = 128) -> float:
    """A request that is not taken and told when to come again; how soon, in seconds."""
    started = time.perf_counter()
    with pytest.raises(RequestFailed) as failed:
        client.generate(prompt, max_tokens=max_tokens)
    took_s = time.perf_counter() - started
    assert (failed.value.code, failed.value.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert failed.value.retry_after_s == RETRY_AFTER_S
    return took_s


def test_many_cancelled_streams_leave_nothing_behind(server: RunningServer, client: Client) -> None:
    for i in range(50):
        stream = client.stream(f"s{i}", max_tokens=200)
        if i % 2:
            next(iter(stream))
        stream.cancel()
    # Those that were cancelled before a reply may never have reached the server.
    wait_for(lambda: 25 <= sum(server.codes().values()) <= 50, "all ended")
    wait_for(lambda: client.status().load.rows + client.status().load.waiting == 0, "all freed")
    assert client.generate("after", max_tokens=3).completion_tokens <= 3
