"""The API whole over a real socket: unary equals stream, logprobs, versions, both clients."""

from typing import Any

import grpc
import pytest
import torch

from riverrun.answers import Version
from riverrun.client import AsyncClient, Client
from riverrun.client.connection import Stubs
from riverrun.client.failures import request_failed
from riverrun.errors import InvalidValue, RequestFailed
from riverrun.records import Span
from riverrun.v1 import model_pb2
from tests.serving.published import Published
from tests.serving.running_server import RunningServer


def logprobs_of(published: Published, version: str, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = published.models[version](torch.tensor([tokens]))
    return logits_BTV[0].log_softmax(-1)


def test_a_whole_answer_is_its_stream_and_the_full_forward(
    published: Published, client: Client
) -> None:
    whole = client.generate("the river", max_tokens=12)
    stream = client.stream("the river", max_tokens=12)
    assert "".join(stream) == stream.answer.text == whole.text
    assert whole.text == published.greedy(published.live, "the river", 12)
    assert whole.version == stream.answer.version
    assert whole.version.id == published.live
    messages = [{"role": "user", "content": "hello"}]
    chat = client.stream(messages=messages, max_tokens=9)
    assert "".join(chat) == client.chat(messages, max_tokens=9).text


def test_logprobs_are_those_of_the_full_forward(published: Published, client: Client) -> None:
    prompt = published.tokenizer.encode("a stone")
    answer = client.generate("a stone", max_tokens=6, logprobs=3, temperature=1.5, seed=7)
    assert answer.logprobs is not None
    assert len(answer.logprobs) in (answer.completion_tokens, answer.completion_tokens + 1)
    tokens = prompt + [one.id for one in answer.logprobs]
    expected_TV = logprobs_of(published, published.live, tokens)
    for i, one in enumerate(answer.logprobs):
        right_V = expected_TV[len(prompt) + i - 1]
        assert one.logprob == pytest.approx(float(right_V[one.id]), abs=1e-3)
        assert [top.id for top in one.top] == right_V.topk(3).indices.tolist()
    assert client.generate("a stone", max_tokens=2).logprobs is None


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


def test_versions_are_listed_page_by_page_while_more_are_published(
    published: Published, client: Client
) -> None:
    ids = [published.live] + [published.publish(step, promote=False) for step in range(2, 8)]
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
        parent = published.store.manifest(published.live)
        fields = {name: getattr(parent, name) for name in parent.__struct_fields__}
        child = {"version": "test-000004-child", "parent": parent.version, "learned": [span]}
        return Manifest(**{**fields, **child, "sha256": sha256, "num_bytes": num_bytes})

    child = published.store.publish(lambda path: save_tensors(tensors, path), describe)
    events = list(client.trace(child.version, max_versions=9))
    assert [type(event) for event in events] == [Version, Span, Version]
    assert events[1] == span
    assert isinstance(events[2], Version)
    assert events[2].id == published.live
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
