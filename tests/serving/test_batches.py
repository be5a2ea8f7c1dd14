"""Batches over a real socket, scores and vectors: right, by one version, by the one asked for."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from riverrun.answers import Embeddings, Scores
from riverrun.client import AsyncClient, Client
from riverrun.client.connection import Stubs
from riverrun.client.failures import request_failed
from riverrun.errors import RequestFailed
from riverrun.receipt import Receipt
from riverrun.v1.generation_pb2 import (
    VERSION_MODE_FOLLOW,
    EmbedRequest,
    ScoreRequest,
    VersionChoice,
)
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, slowed_engine, wait_for
from tests.serving.test_swaps import wait_live

TEXTS = ["The river runs.", "überall Wasser", "x" * 200]


def test_scores_are_the_sums_of_the_full_forwards_logprobs(
    published: Published, client: Client
) -> None:
    contexts = ["", "Everywhere: ", ""]
    found = client.score(TEXTS, contexts=contexts, per_token=True)
    assert found.version.id == published.live
    for text, context, score in zip(TEXTS, contexts, found.scores, strict=True):
        head, tail = (published.tokenizer.encode(part) for part in (context, text))
        first = max(1, len(head))
        targets = (head + tail)[first:]
        right = published.logprobs(published.live, head + tail)[first - 1 :]
        assert score.log_likelihood == pytest.approx(sum(right), rel=1e-4)
        assert [one.id for one in score.per_token] == targets
        # A byte-level model: a token is a byte, and the first of a bare text is not scored.
        assert score.bytes == score.tokens == len(text.encode()) - (not context)
        bits = -sum(right) / math.log(2) / score.bytes
        assert score.bits_per_byte == pytest.approx(bits, rel=1e-4)
    assert not client.score(["ab"]).scores[0].per_token


def test_a_batch_comes_from_one_version_whatever_is_published_meanwhile(
    published: Published, server: RunningServer, client: Client
) -> None:
    text = "abcdefgh" * 8
    tokens = published.tokenizer.encode(text)
    num_swapped = 0
    with ThreadPoolExecutor(1) as pool, slowed_engine(0.01):
        # One version a batch: a version every 50 ms would outrun it on a busy machine.
        for step in range(2, 12):
            served = server.metric("riverrun_serving_version_step")
            scored = pool.submit(client.score, [text] * 32)
            wait_for(lambda: server.metric("riverrun_serving_rows") > 0, "rows of the batch")
            published.publish(step)
            found = scored.result()
            num_swapped += found.version.step > served
            expected = sum(published.logprobs(found.version.id, tokens))
            likelihoods = [score.log_likelihood for score in found.scores]
            assert likelihoods == pytest.approx([expected] * 32, rel=1e-4)
            wait_live(client, published.live)
    assert num_swapped > 0, "no version changed while a batch ran"


def test_vectors_have_length_one_and_equal_texts_equal_vectors(
    published: Published, client: Client
) -> None:
    found = client.embed([*TEXTS, TEXTS[0]])
    assert found.version.id == published.live
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-4) for vector in found.vectors)
    assert found.vectors[0] == pytest.approx(found.vectors[3], abs=1e-4)
    assert found.vectors[0] != pytest.approx(found.vectors[1], abs=1e-2)
    assert found.tokens == [len(published.tokenizer.encode(t)) for t in [*TEXTS, TEXTS[0]]]


@pytest.mark.parametrize(
    ("texts", "contexts", "field"),
    [
        ([], None, "inputs"),
        (["x"] * 65, None, "inputs"),
        (["ok", ""], None, "inputs[1].text"),
        (["x"], None, "inputs[0].text"),
        (["x" * 200], ["y" * 100], "inputs[0]"),
    ],
)
def test_a_batch_that_cannot_be_scored_names_its_field(
    client: Client, texts: list[str], contexts: list[str] | None, field: str
) -> None:
    with pytest.raises(RequestFailed) as failed:
        client.score(texts, contexts=contexts)
    assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", field)


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ([], "texts"),
        (["x"] * 65, "texts"),
        (["ok", ""], "texts[1]"),
        (["ok", "ok", "x" * 257], "texts[2]"),
    ],
)
def test_a_batch_that_cannot_be_embedded_names_its_field(
    client: Client, texts: list[str], field: str
) -> None:
    with pytest.raises(RequestFailed) as failed:
        client.embed(texts)
    assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", field)


def numbers(found: Scores | Embeddings) -> list[float]:
    if isinstance(found, Scores):
        return [score.log_likelihood for score in found.scores]
    return [value for vector in found.vectors for value in vector]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("method", ["score", "embed"])
async def test_a_batch_comes_from_the_weights_that_it_asks_for(
    published: Published, server: RunningServer, client: Client, method: str, asynchronous: bool
) -> None:
    async with AsyncClient(server.address, timeout_s=60) as other:

        async def ask(**chosen: Any) -> Scores | Embeddings:
            found: Scores | Embeddings
            if asynchronous:
                found = await getattr(other, method)(TEXTS, **chosen)
            else:
                found = await asyncio.to_thread(getattr(client, method), TEXTS, **chosen)
            return found

        def num_waiting() -> float:
            return server.metric("riverrun_serving_version_waits")

        held = published.publish(7, promote=False)
        by_id = await ask(version=held)
        assert by_id.version.id == held
        assert numbers(by_id) != pytest.approx(numbers(await ask()), rel=1e-2)

        receipt = Receipt("raw")
        receipt.add(0, 25)
        waits = [asyncio.create_task(ask(min_step=3)), asyncio.create_task(ask(after=receipt))]
        await asyncio.to_thread(wait_for, lambda: num_waiting() == 2, "two that wait")
        # Offsets up to 19 are learned by version 2: not yet.
        wait_live(client, published.publish(2))
        assert num_waiting() == 2
        third = published.publish(3)
        assert {(await wait).version.id for wait in waits} == {third}

        published.store.promote(held)
        wait_live(client, held)
        assert numbers(await ask(min_version=held)) == pytest.approx(numbers(by_id), rel=1e-4)


@pytest.mark.parametrize(
    ("method", "request_type"), [("Score", ScoreRequest), ("Embed", EmbedRequest)]
)
def test_a_batch_cannot_follow_or_choose_twice(
    server: RunningServer, client: Client, method: str, request_type: Any
) -> None:
    def refused(**chosen: Any) -> tuple[str, str | None]:
        with grpc.insecure_channel(server.address) as channel:
            call = getattr(Stubs(channel).generation, method)
            with pytest.raises(grpc.RpcError) as failed:
                call(request_type(version=VersionChoice(**chosen), **batch))
        failure = request_failed(failed.value)
        return failure.code, failure.field

    batch: dict[str, Any] = {"texts": ["ab"]} if method == "Embed" else {"inputs": [{"text": "ab"}]}
    assert refused(mode=VERSION_MODE_FOLLOW) == ("INVALID_ARGUMENT", "version.mode")
    assert refused(id="test-000001-x", min_step=1) == ("INVALID_ARGUMENT", "version.id")
    with pytest.raises(TypeError, match="follow"):
        getattr(client, method.lower())(["ab"], follow=True)
