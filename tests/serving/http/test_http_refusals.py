"""What HTTP refuses for versions' and room's sake: as gRPC does, with what it names in the body."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest

from riverrun.client import Client
from tests.serving.http.conftest import COMPLETION, openai_client
from tests.serving.published import Published
from tests.serving.running_server import (
    RunningServer,
    held_engine,
    running_server,
    slowed_engine,
    wait_for,
)


def error_of(server: RunningServer, status: int, **fields: Any) -> dict[str, Any]:
    """The error that this completion gets, which has that status."""
    url = f"{server.http_address}/v1/completions"
    answered = httpx2.post(url, json={**COMPLETION, **fields}, timeout=60)
    assert answered.status_code == status, answered.text
    error: dict[str, Any] = answered.json()["error"]
    assert error["message"]
    return error


def test_a_version_that_is_none_is_refused(server: RunningServer) -> None:
    unknown = error_of(server, 404, model="tiny@test-000099-00000000")
    assert (unknown["type"], unknown["code"]) == ("invalid_request_error", "unknown_version")
    no_name = error_of(server, 400, model="tiny@../../etc")
    assert (no_name["code"], no_name["param"]) == ("invalid_field", "version.id")


def test_a_version_thinned_away_names_the_nearest(
    published: Published, server: RunningServer
) -> None:
    versions = [published.publish(step, promote=False) for step in (5, 7, 11)]
    (published.root / "store" / "versions" / versions[1] / "weights.safetensors").unlink()
    gone = error_of(server, 400, version={"id": versions[1]})
    assert (gone["type"], gone["code"]) == ("invalid_request_error", "version_gone")
    assert (gone["version"], gone["nearest"]) == (versions[1], versions[0])
    assert error_of(server, 404, version={"min_id": "nothing"})["code"] == "unknown_version"


def test_an_offset_that_never_comes_is_told_what_is_learned(
    published: Published, server: RunningServer
) -> None:
    early = error_of(server, 504, version={"after": {"0": 10**6}, "wait_s": 0.1})
    assert (early["type"], early["code"]) == ("server_error", "version_not_yet")
    told = (early["live"], early["step"], early["present"])
    assert told == (published.store.promoted(), "1", "0:10")


def test_an_answer_that_holds_old_weights_too_long_is_a_conflict_whole_and_streamed(
    published: Published,
) -> None:
    published.publish(1)
    asked: dict[str, Any] = {"model": "tiny", "prompt": "long", "max_tokens": 250, "temperature": 0}
    with (
        slowed_engine(0.03),
        running_server(published.root, max_pin_s=0.1) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        server.wait_ready()
        with openai_client(server) as ai:
            whole = pool.submit(ai.completions.create, **asked)
            stream = ai.completions.create(**asked, stream=True)
            assert next(stream)
            wait_for(lambda: server.metric("riverrun_serving_rows") == 2, "both have their rows")
            published.publish(2)
            with pytest.raises(openai.ConflictError) as conflict:
                whole.result(60)
            assert (conflict.value.type, conflict.value.code) == ("conflict_error", "pin_expired")
            with pytest.raises(openai.APIError) as ended:
                list(stream)
            assert (ended.value.type, ended.value.code) == ("conflict_error", "pin_expired")


def test_more_tokens_than_may_be_open_are_429_and_when_to_come_again(published: Published) -> None:
    published.publish(1)
    options = {"max_rows": 1, "max_waiting": 8, "max_waiting_tokens": 0}
    with running_server(published.root, **options) as server, Client(server.wait_ready()) as client:
        with openai_client(server) as ai, held_engine():
            held = client.stream("x", max_tokens=200)
            wait_for(lambda: client.status().load.waiting == 1, "one is open")
            with pytest.raises(openai.RateLimitError, match="tokens") as refused:
                ai.completions.create(model="tiny", prompt="x", max_tokens=100)
            assert (refused.value.type, refused.value.code) == ("rate_limit_error", "overloaded")
            assert refused.value.response.headers["retry-after"] == "1"
            held.cancel()
        wait_for(lambda: not client.status().load.waiting, "free")
        assert error_of(server, 400, max_tokens=1000)["param"] == "max_tokens"
