"""The official `openai` package over a real socket: what it is told equals what gRPC says."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest

from riverrun.client import Client
from tests.serving.http.conftest import openai_client
from tests.serving.published import Published
from tests.serving.running_server import (
    RunningServer,
    held_engine,
    running_server,
    slowed_engine,
    wait_for,
)

MESSAGES = [{"role": "user", "content": "hello river"}]


def live(published: Published) -> str:
    version = published.store.promoted()
    assert version is not None
    return version


def test_the_model_is_listed_and_found(ai: openai.OpenAI) -> None:
    (model,) = ai.models.list().data
    assert (model.id, model.owned_by, model.object) == ("tiny", "riverrun", "model")
    assert ai.models.retrieve("tiny") == model
    with pytest.raises(openai.NotFoundError) as missing:
        ai.models.retrieve("gpt-9")
    assert missing.value.code == "model_not_found"


def test_a_completion_is_the_full_forward_whole_and_streamed(
    published: Published, ai: openai.OpenAI
) -> None:
    right = published.greedy(live(published), "the river", 12)
    raw = ai.completions.with_raw_response.create(
        model="tiny", prompt="the river", max_tokens=12, temperature=0
    )
    whole = raw.parse()
    assert whole.choices[0].text == right
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (9, 12)
    assert whole.usage.total_tokens == 21
    assert whole.system_fingerprint == raw.headers["x-riverrun-version"] == live(published)
    assert whole.id == f"cmpl-{raw.headers['x-request-id']}"

    chunks = list(
        ai.completions.create(
            model="tiny",
            prompt="the river",
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].text for c in chunks if c.choices) == right
    assert {c.system_fingerprint for c in chunks} == {live(published)}
    assert len({c.id for c in chunks}) == 1
    assert [c.usage is not None for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    bare = list(
        ai.completions.create(model="tiny", prompt="x", max_tokens=2, temperature=0, stream=True)
    )
    assert all(c.usage is None and c.choices for c in bare)


def test_a_chat_is_what_grpc_answers_to_the_same_messages(
    ai: openai.OpenAI, client: Client
) -> None:
    right = client.chat(MESSAGES, max_tokens=10).text
    whole = ai.chat.completions.create(
        model="riverrun", messages=MESSAGES, max_completion_tokens=10, temperature=0
    )
    assert whole.choices[0].message.content == right
    assert whole.choices[0].message.role == "assistant"
    chunks = list(
        ai.chat.completions.create(
            model="tiny", messages=MESSAGES, max_tokens=10, temperature=0, stream=True
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == right
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello "}]}]
    parts[0]["content"].append({"type": "text", "text": "river"})  # type: ignore[attr-defined]
    joined = ai.chat.completions.create(model="tiny", messages=parts, max_tokens=10, temperature=0)
    assert joined.choices[0].message.content == right


def test_a_chat_that_says_no_length_gets_all_that_fits(
    published: Published, ai: openai.OpenAI
) -> None:
    whole = ai.chat.completions.create(model="tiny", messages=MESSAGES, temperature=0)
    assert whole.usage is not None
    if whole.choices[0].finish_reason == "length":
        assert whole.usage.total_tokens == 256
    short = ai.completions.create(model="tiny", prompt="x", temperature=0)
    assert short.usage is not None
    assert short.usage.completion_tokens <= 16


def test_a_seed_repeats_a_sampled_answer_and_another_one_does_not(ai: openai.OpenAI) -> None:
    def sampled(seed: int) -> str:
        answer = ai.chat.completions.create(
            model="tiny", messages=MESSAGES, max_tokens=20, temperature=3, top_p=0.9, seed=seed
        )
        return answer.choices[0].message.content or ""

    assert sampled(7) == sampled(7)
    assert len({sampled(seed) for seed in (7, 8, -9, 2**63)}) > 1


def test_stop_strings_and_logprobs_are_those_of_grpc(
    published: Published, ai: openai.OpenAI, client: Client
) -> None:
    right = client.generate("a stone", max_tokens=8, logprobs=3)
    assert right.logprobs is not None
    stop = right.text[3:5]
    stopped = ai.completions.create(
        model="tiny", prompt="a stone", max_tokens=8, temperature=0, stop=[stop, "never"]
    )
    assert stopped.choices[0].text == right.text.split(stop)[0]
    assert stopped.choices[0].finish_reason == "stop"

    told = ai.completions.create(
        model="tiny", prompt="a stone", max_tokens=8, temperature=0, logprobs=3
    )
    logprobs = told.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == [one.text for one in right.logprobs]
    assert logprobs.token_logprobs == pytest.approx(
        [one.logprob for one in right.logprobs], abs=1e-4
    )
    chat = ai.chat.completions.create(
        model="tiny",
        messages=MESSAGES,
        max_tokens=4,
        temperature=0,
        logprobs=True,
        top_logprobs=2,
        stream=True,
    )
    found = [one for c in chat for one in (c.choices[0].logprobs or _none).content or []]
    expected = client.chat(MESSAGES, max_tokens=4, logprobs=2).logprobs
    assert expected is not None
    assert [one.logprob for one in found] == pytest.approx(
        [one.logprob for one in expected], abs=1e-4
    )
    assert [one.bytes for one in found] == [
        list(published.tokenizer.token_bytes(one.id)) for one in expected
    ]
    assert [[top.logprob for top in one.top_logprobs] for one in found] == [
        pytest.approx([top.logprob for top in one.top], abs=1e-4) for one in expected
    ]


class _None:
    content = None


_none = _None()


def test_a_stream_keeps_its_version_and_the_next_one_takes_the_new(
    published: Published, server: RunningServer, ai: openai.OpenAI
) -> None:
    first = live(published)
    stream = ai.completions.create(
        model="tiny", prompt="x", max_tokens=200, temperature=0, stream=True
    )
    chunks = [next(stream)]
    second = published.publish(2)
    wait_for(lambda: server.metric("riverrun_serving_swaps_total") == 1, "swapped")
    chunks += list(stream)
    assert {c.system_fingerprint for c in chunks} == {first}
    assert "".join(c.choices[0].text for c in chunks) == published.greedy(first, "x", 200)
    after = ai.completions.create(model="tiny", prompt="x", max_tokens=5, temperature=0)
    assert after.system_fingerprint == second


def test_the_field_version_waits_for_a_step_or_an_offset(
    published: Published, server: RunningServer, ai: openai.OpenAI
) -> None:
    def asked(**choice: object) -> openai.types.Completion:
        return ai.completions.create(
            model="tiny", prompt="x", max_tokens=9, temperature=0, extra_body={"version": choice}
        )

    with pytest.raises(openai.APIStatusError) as early:
        asked(min_step=5, wait_s=0.2)
    assert (early.value.status_code, early.value.code) == (504, "version_not_yet")
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(asked, min_step=5, wait_s=60),
            pool.submit(asked, after={"0": 49}, wait_s=60),
        ]
        wait_for(lambda: server.metric("riverrun_serving_version_waits") == 2, "both wait")
        fifth = published.publish(5)
        answers = [one.result(60) for one in waiting]
    for answer in answers:
        assert answer.system_fingerprint == fifth
        assert answer.choices[0].text == published.greedy(fifth, "x", 9)
    assert asked(id=fifth).system_fingerprint == fifth


def test_an_event_of_a_stream_that_follows_names_the_version_that_made_it(
    published: Published, ai: openai.OpenAI
) -> None:
    first = live(published)
    with slowed_engine(0.01):
        stream = ai.completions.create(
            model="tiny",
            prompt="follow",
            max_tokens=220,
            temperature=0,
            stream=True,
            extra_body={"version": {"follow": True}},
        )
        chunks = [next(stream)]
        second = published.publish(2)
        chunks += list(stream)
    names = [chunk.system_fingerprint for chunk in chunks]
    assert list(dict.fromkeys(names)) == [first, second]
    old = "".join(c.choices[0].text for c in chunks if c.system_fingerprint == first)
    assert old
    assert published.greedy(first, "follow", 220).startswith(old)


def test_a_full_server_says_429_and_when_to_come_again(published: Published) -> None:
    published.publish(1)
    with running_server(published.root, max_rows=1, max_waiting=0) as server:
        server.wait_ready()
        with openai_client(server) as ai, Client(server.address) as client:
            with held_engine():
                held = client.stream("x", max_tokens=3)
                wait_for(lambda: client.status().load.waiting == 1, "one is open")
                with pytest.raises(openai.RateLimitError) as refused:
                    ai.completions.create(model="tiny", prompt="x", max_tokens=3)
                assert refused.value.code == "overloaded"
                assert refused.value.response.headers["retry-after"] == "1"
            assert list(held)
            patient = ai.with_options(max_retries=5)
            assert patient.completions.create(model="tiny", prompt="x", max_tokens=3).id


async def test_a_client_that_goes_frees_its_row(
    published: Published, server: RunningServer, client: Client
) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{server.http_address}/v1", api_key="none", max_retries=0
    ) as ai:
        with held_engine():
            whole = asyncio.create_task(
                ai.completions.create(model="tiny", prompt="x", max_tokens=200)
            )
            streamed = asyncio.create_task(
                ai.completions.create(model="tiny", prompt="x", max_tokens=200, stream=True)
            )
            await asyncio.to_thread(
                wait_for, lambda: client.status().load.waiting == 2, "both are open"
            )
            whole.cancel()
            streamed.cancel()
            await asyncio.gather(whole, streamed, return_exceptions=True)
            labels = {"method": "http.completions", "code": "CANCELLED"}
            await asyncio.to_thread(
                wait_for,
                lambda: server.metric("riverrun_serving_requests_total", labels) == 2,
                "both are cancelled",
            )
        wait_for(lambda: client.status().load.waiting == client.status().load.rows == 0, "free")
        status = client.status()
        assert status.load.generated_tokens == 0, "both went before their first token"


def test_before_the_first_version_and_while_draining_it_is_not_ready(
    published: Published,
) -> None:
    server = RunningServer(published.root).start()
    url = server.http_address
    assert httpx2.get(f"{url}/healthz").status_code == 200
    early = httpx2.get(f"{url}/readyz")
    assert (early.status_code, early.text) == (503, "loading\n")
    with openai_client(server) as ai, pytest.raises(openai.InternalServerError) as refused:
        ai.completions.create(model="tiny", prompt="x")
    assert refused.value.status_code == 503
    version = published.publish(1)
    server.wait_ready()
    texts: list[str] = []
    with openai_client(server) as ai, Client(server.address) as client:

        def read() -> None:
            chunks = ai.completions.create(
                model="tiny", prompt="open", max_tokens=50, temperature=0, stream=True
            )
            texts.append("".join(chunk.choices[0].text for chunk in chunks))

        thread = threading.Thread(target=read)
        with held_engine():
            thread.start()
            wait_for(lambda: client.status().load.waiting == 1, "in the queue")
            server.running.request_stop()
            wait_for(lambda: httpx2.get(f"{url}/readyz").text == "draining\n", "draining")
            with pytest.raises(openai.InternalServerError):
                ai.completions.create(model="tiny", prompt="new")
        thread.join(60)
    server.stop()
    assert texts == [published.greedy(version, "open", 50)]
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{url}/healthz")


def test_a_drain_ends_at_its_time_and_cuts_what_is_still_open(published: Published) -> None:
    published.publish(1)
    server = RunningServer(published.root, drain_timeout_s=0.1).start()
    server.wait_ready()
    with openai_client(server) as ai, Client(server.address) as client, held_engine():
        faults: list[Exception] = []

        def read() -> None:
            try:
                list(ai.completions.create(model="tiny", prompt="x", max_tokens=9, stream=True))
            except openai.APIError as error:
                faults.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        wait_for(lambda: client.status().load.waiting == 1, "in the queue")
        server.running.request_stop()
        thread.join(20)
        assert not thread.is_alive()
        assert isinstance(faults[0], openai.APIConnectionError)
    server.stop()


def test_without_http_no_port_is_opened(published: Published) -> None:
    published.publish(1)
    with running_server(published.root, http=False) as server:
        server.wait_ready()
        assert server.record().http_address is None
