"""The API whole over a real socket: unary equals stream, logprobs, scores, vectors, versions."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import torch

from riverrun.answers import Embeddings, Scores, Version
from riverrun.client import AsyncClient, Client
from riverrun.client.connection import Stubs
from riverrun.client.failures import request_failed
from riverrun.errors import InvalidValue, RequestFailed
from riverrun.receipt import Receipt
from riverrun.records import Span
from riverrun.v1 import model_pb2
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


def logprobs_of(published: Published, version: str, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = published.models[version](torch.tensor([tokens]))
    return logits_BTV[0].log_softmax(-1)


def live(published: Published) -> str:
    version = published.store.promoted()
    assert version is not None
    return version


def test_a_whole_answer_is_its_stream_and_the_full_forward(
    published: Published, client: Client
) -> None:
    whole = client.generate("the river", max_tokens=12)
    stream = client.stream("the river", max_tokens=12)
    assert "".join(stream) == stream.answer.text == whole.text
    assert whole.text == published.greedy(live(published), "the river", 12)
    assert whole.version == stream.answer.version
    assert whole.version.id == live(published)
    messages = [{"role": "user", "content": "hello"}]
    chat = client.stream(messages=messages, max_tokens=9)
    assert "".join(chat) == client.chat(messages, max_tokens=9).text


def test_logprobs_are_those_of_the_full_forward(published: Published, client: Client) -> None:
    prompt = published.tokenizer.encode("a stone")
    answer = client.generate("a stone", max_tokens=6, logprobs=3, temperature=1.5, seed=7)
    assert answer.logprobs is not None
    assert len(answer.logprobs) in (answer.completion_tokens, answer.completion_tokens + 1)
    tokens = prompt + [one.id for one in answer.logprobs]
    expected_TV = logprobs_of(published, live(published), tokens)
    for i, one in enumerate(answer.logprobs):
        right_V = expected_TV[len(prompt) + i - 1]
        assert one.logprob == pytest.approx(float(right_V[one.id]), abs=1e-3)
        assert [top.id for top in one.top] == right_V.topk(3).indices.tolist()
    assert client.generate("a stone", max_tokens=2).logprobs is None


def test_scores_are_the_sums_of_the_full_forwards_logprobs(
    published: Published, client: Client
) -> None:
    contexts = ["", "Everywhere: ", ""]
    found = client.score(TEXTS, contexts=contexts, per_token=True)
    assert found.version.id == live(published)
    for text, context, score in zip(TEXTS, contexts, found.scores, strict=True):
        head, tail = (published.tokenizer.encode(part) for part in (context, text))
        first = max(1, len(head))
        expected_TV = logprobs_of(published, live(published), head + tail)
        targets = (head + tail)[first:]
        right = [float(expected_TV[first - 1 + i, token]) for i, token in enumerate(targets)]
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
            wait_live(client, live(published))
    assert num_swapped > 0, "no version changed while a batch ran"


def test_vectors_have_length_one_and_equal_texts_equal_vectors(
    published: Published, client: Client
) -> None:
    found = client.embed([*TEXTS, TEXTS[0]])
    assert found.version.id == live(published)
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-4) for vector in found.vectors)
    assert found.vectors[0] == pytest.approx(found.vectors[3], abs=1e-4)
    assert found.vectors[0] != pytest.approx(found.vectors[1], abs=1e-2)
    assert found.tokens == [len(published.tokenizer.encode(t)) for t in [*TEXTS, TEXTS[0]]]


def test_tokens_are_counted_as_a_request_would_count_them(client: Client) -> None:
    counted = client.count_tokens("the river")
    answer = client.generate("the river", max_tokens=1)
    assert counted.tokens == answer.prompt_tokens
    assert counted.tokens + counted.room_tokens == client.status().context_tokens
    messages = [{"role": "user", "content": "hi"}]
    chat = client.chat(messages, max_tokens=1)
    assert client.count_tokens(messages=messages).tokens == chat.prompt_tokens


def test_a_request_keeps_its_id_and_bad_ones_are_refused(client: Client) -> None:
    assert client.generate("x", max_tokens=1, request_id="mine:1").request_id == "mine:1"
    first, second = (client.generate("x", max_tokens=1).request_id for _ in range(2))
    assert first != second
    for bad in ("ä".encode().decode("latin-1"), "a b", "x" * 129):
        with pytest.raises((RequestFailed, ValueError)):
            client.generate("x", max_tokens=1, request_id=bad)
    with pytest.raises(RequestFailed) as failed:
        client.generate("x", top_p=2.0, request_id="mine:2")
    assert failed.value.request_id == failed.value.metadata["request_id"] == "mine:2"
    assert failed.value.reason == "INVALID_FIELD"


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


def test_versions_are_listed_page_by_page_while_more_are_published(
    published: Published, client: Client
) -> None:
    ids = [live(published)] + [published.publish(step, promote=False) for step in range(2, 8)]
    pages = client.versions(page_size=2)
    found = [next(pages)]
    published.publish(8, promote=False)
    found += pages
    # What came after the first page shifts nothing.
    assert [one.version.id for one in found] == ids[::-1]
    assert [one.version.id for one in found if one.promoted] == [ids[0]]
    assert [one.version.id for one in found if one.live] == [ids[0]]
    assert all(one.has_weights and len(one.sha256) == 64 for one in found)
    assert client.version(ids[3]).version.id == ids[3]
    assert client.version().version.id == ids[0]


@pytest.mark.parametrize(
    ("method", "arguments", "code", "field"),
    [
        ("ListVersions", {"page_size": 1001}, "INVALID_ARGUMENT", "page_size"),
        ("ListVersions", {"page_token": "../../etc/passwd"}, "INVALID_ARGUMENT", "page_token"),
        ("ListVersions", {"page_token": "test-000009-00000000"}, "INVALID_ARGUMENT", "page_token"),
        ("GetVersion", {"id": "../../etc/passwd"}, "INVALID_ARGUMENT", "id"),
        ("GetVersion", {"id": "x" * 129}, "INVALID_ARGUMENT", "id"),
        ("GetVersion", {"id": "test-000009-00000000"}, "NOT_FOUND", None),
        ("TraceVersion", {"id": "../../etc/passwd"}, "INVALID_ARGUMENT", "id"),
        ("TraceVersion", {"id": "test-000009-00000000"}, "NOT_FOUND", None),
        ("TraceVersion", {"max_versions": 100_001}, "INVALID_ARGUMENT", "max_versions"),
        ("WatchStatus", {"interval_ms": 9}, "INVALID_ARGUMENT", "interval_ms"),
        ("WatchStatus", {"interval_ms": 60_001}, "INVALID_ARGUMENT", "interval_ms"),
    ],
)
def test_what_cannot_be_asked_of_the_model_names_its_field(
    server: RunningServer, method: str, arguments: dict[str, Any], code: str, field: str | None
) -> None:
    request = getattr(model_pb2, f"{method}Request")(**arguments)
    with grpc.insecure_channel(server.address) as channel:
        call = getattr(Stubs(channel).model, method)
        streams = isinstance(call, grpc.UnaryStreamMultiCallable)
        with pytest.raises(grpc.RpcError) as failed:
            next(call(request, timeout=60)) if streams else call(request, timeout=60)
    failure = request_failed(failed.value)
    assert (failure.code, failure.field) == (code, field)


def test_a_trace_follows_the_parents_to_their_spans(published: Published, client: Client) -> None:
    from riverrun.model.files import save_tensors
    from riverrun.store import Manifest

    tensors = {k: v.detach() for k, v in published.model(1).state_dict().items()}
    span = Span(
        step=4,
        partition=1,
        raw_first=10,
        raw_last=12,
        clean_first=7,
        clean_last=9,
        num_documents=3,
    )

    def describe(sha256: str, num_bytes: int) -> Manifest:
        parent = published.store.manifest(live(published))
        fields = {name: getattr(parent, name) for name in parent.__struct_fields__}
        child = {"version": "test-000004-child", "parent": parent.version, "learned": [span]}
        return Manifest(**{**fields, **child, "sha256": sha256, "num_bytes": num_bytes})

    child = published.store.publish(lambda path: save_tensors(tensors, path), describe)
    events = list(client.trace(child.version, max_versions=9))
    assert [type(event) for event in events] == [Version, Span, Version]
    assert events[1] == span
    assert isinstance(events[2], Version)
    assert events[2].id == live(published)
    assert len(list(client.trace(child.version))) == 2
    with pytest.raises(RequestFailed) as failed:
        list(client.trace(child.version, documents=True))
    assert failed.value.code == "UNAVAILABLE"
    assert failed.value.retry_after_s


async def test_the_asynchronous_client_gives_the_same(
    server: RunningServer, client: Client
) -> None:
    async with AsyncClient(server.address, timeout_s=60) as other:
        whole = await other.generate("the river", max_tokens=8, request_id="one")
        assert whole == client.generate("the river", max_tokens=8, request_id="one")
        stream = other.stream("the river", max_tokens=8)
        assert "".join([piece async for piece in stream]) == whole.text
        assert (await other.score(["ab"])).scores == client.score(["ab"]).scores
        assert (await other.embed(["ab"])).vectors == client.embed(["ab"]).vectors
        assert await other.count_tokens("ab") == client.count_tokens("ab")
        assert [one async for one in other.versions()] == list(client.versions())
        async for status in other.watch():
            assert status.state == "serving"
            break


def test_both_clients_have_the_same_methods_and_options() -> None:
    import inspect

    public = {name for name in vars(Client) if not name.startswith("_")}
    assert public == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in public:
        mine, twin = (inspect.signature(getattr(c, name)) for c in (Client, AsyncClient))
        assert list(mine.parameters.values()) == list(twin.parameters.values()), name


def test_a_token_never_goes_over_a_network_in_the_clear() -> None:
    with pytest.raises(InvalidValue) as refused:
        Client("model.example.org:443", token="s3cret")
    assert refused.value.field == "token"
    assert "s3cret" not in str(refused.value)
    Client("127.0.0.1:1", token="s3cret").close()
