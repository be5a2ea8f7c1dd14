"""A version and its origin: which of the two answers, and that nobody else notices."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from riverrun.client import Client
from riverrun.deferral import defers, trace
from riverrun.errors import RequestFailed
from riverrun.store import Deferral
from serving.prefixes import MIN_TOKENS
from tests.serving.published import Published
from tests.serving.running_server import (
    RunningServer,
    held_engine,
    running_server,
    slowed_engine,
    wait_for,
)
from tests.serving.test_swaps import wait_live

PROMPTS = [
    f"{word} the river runs {n} times" for n, word in enumerate(["why", "how", "when", "where"])
]
LONG = 24


class Pair:
    """Version 1, which defers: the margin lies between what its prompts bear."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.origin = published.put_origin(seed=77)
        learned = published.publish(50, promote=False)
        traces = {prompt: self.trace(learned, prompt) for prompt in PROMPTS}
        ordered = sorted(traces.values())
        self.margin = (ordered[1] + ordered[2]) / 2
        self.kept = [prompt for prompt in PROMPTS if traces[prompt] > self.margin]
        self.left = [prompt for prompt in PROMPTS if traces[prompt] < self.margin]
        assert len(self.kept) == len(self.left) == 2
        self.version = self.publish(1, seed=50)

    def trace(self, version: str, prompt: str) -> float:
        """Up to which margin the version answers."""
        gains = self.gains(version, prompt)
        return trace(gains) if sum(gains) > -trace(gains) else 0.0

    def gains(self, version: str, prompt: str) -> list[float]:
        tokens = self.published.tokenizer.encode(prompt)
        own = self.published.logprobs(version, tokens)
        theirs = self.published.logprobs(self.origin, tokens)
        return [a - b for a, b in zip(own, theirs, strict=True)]

    def publish(self, step: int, *, seed: int) -> str:
        return self.published.publish(
            step,
            decoder=self.published.model(seed),
            deferral=Deferral(self.origin, self.margin),
        )

    def right(self, version: str, prompt: str) -> str:
        """What is answered for the version."""
        left = defers(self.gains(version, prompt), self.margin)
        return self.published.greedy(self.origin if left else version, prompt, LONG)


@pytest.fixture
def pair(published: Published) -> Pair:
    return Pair(published)


@pytest.fixture
def server(pair: Pair) -> RunningServer:  # type: ignore[misc]
    with running_server(pair.published.root) as server:
        server.wait_ready()
        yield server


def test_each_prompt_is_answered_by_the_weights_that_it_bears_the_trace_of(
    pair: Pair, client: Client, server: RunningServer
) -> None:
    for prompt in PROMPTS:
        answer = client.generate(prompt, max_tokens=LONG)
        assert answer.text == pair.right(pair.version, prompt)
        assert answer.version.id == pair.version
        assert answer.deferred == (prompt in pair.left)
        stream = client.stream(prompt, max_tokens=LONG)
        assert "".join(stream) == answer.text
        assert stream.answer.deferred == answer.deferred
    answered_by = "riverrun_serving_answered_by_total"
    assert server.metric(answered_by, {"weights": "origin"}) == 4
    assert server.metric(answered_by, {"weights": "learned"}) == 4
    # What is weighed is no request of its own.
    assert client.status().load.served == 8


def test_many_at_once_are_answered_as_each_alone_while_versions_come(
    pair: Pair, client: Client
) -> None:
    versions = [pair.version]
    found = []
    published = Event()

    def ask(worker: int) -> None:
        for prompt in itertools.cycle(PROMPTS[worker % 4 :] + PROMPTS[: worker % 4]):
            found.append((prompt, client.generate(prompt, max_tokens=LONG)))
            if published.is_set():
                return

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, worker) for worker in range(8)]
        try:
            for step in range(2, 8):
                versions.append(pair.publish(step, seed=50 + step))
                wait_live(client, versions[-1])
        finally:
            published.set()
        for answers in asked:
            answers.result()
    # Each version was live while they asked, and rightness is of a version and a prompt.
    answered = {(prompt, answer.version.id, answer.text) for prompt, answer in found}
    for prompt, version, text in answered:
        assert version in versions
        assert text == pair.right(version, prompt)
    assert len({version for _, version, _ in answered}) > 1


def test_the_learned_weights_answer_what_never_defers(pair: Pair, client: Client) -> None:
    for prompt in PROMPTS:
        answer = client.generate(prompt, max_tokens=LONG, never_defer=True)
        assert answer.text == pair.published.greedy(pair.version, prompt, LONG)
        assert not answer.deferred


def test_a_version_by_id_and_one_that_follows_defer_too(pair: Pair, client: Client) -> None:
    pair.publish(2, seed=60)
    for prompt in PROMPTS:
        answer = client.generate(prompt, max_tokens=LONG, version=pair.version)
        assert (answer.version.id, answer.text) == (
            pair.version,
            pair.right(pair.version, prompt),
        )


def test_what_the_origin_answers_stays_with_it_though_it_follows(
    pair: Pair, client: Client
) -> None:
    prompt = pair.left[0]
    with slowed_engine(0.01):
        stream = client.stream(prompt, max_tokens=100, follow=True)
        pieces = iter(stream)
        text = next(pieces)
        wait_live(client, pair.publish(2, seed=60))
        text += "".join(pieces)
    assert text == pair.published.greedy(pair.origin, prompt, 100)
    assert stream.answer.deferred
    assert stream.answer.version.id == pair.version
    assert [one.version.id for one in stream.answer.versions or ()] == [pair.version]


def test_each_version_defers_to_its_own_origin(
    pair: Pair, client: Client, server: RunningServer
) -> None:
    published = pair.published
    other = published.put_origin(seed=78)
    version = published.publish(2, deferral=Deferral(other, 1000.0))
    wait_live(client, version)
    for _ in range(2):
        newest = client.generate(PROMPTS[0], max_tokens=LONG)
        assert newest.text == published.greedy(other, PROMPTS[0], LONG)
        old = client.generate(pair.left[0], max_tokens=LONG, version=pair.version)
        assert (old.version.id, old.deferred) == (pair.version, True)
        assert old.text == published.greedy(pair.origin, pair.left[0], LONG)


def test_who_was_weighed_by_a_version_is_answered_by_it_though_it_was_replaced(
    pair: Pair, client: Client, server: RunningServer
) -> None:
    for step, prompt in enumerate(PROMPTS, start=2):
        live = client.status().version
        assert live is not None
        with ThreadPoolExecutor(1) as pool:
            with held_engine():
                asked = pool.submit(client.generate, prompt, max_tokens=LONG)
                wait_for(lambda: client.status().load.waiting == 1, "it is weighed")
                newest = pair.publish(step, seed=50 + step)
                loads = "riverrun_serving_load_seconds_count"
                wait_for(lambda loads=loads, step=step: server.metric(loads) == step, "it is there")
            answer = asked.result(30)
        assert (answer.version.id, answer.text) == (live.id, pair.right(live.id, prompt))
        wait_live(client, newest)


def test_an_answer_costs_one_more_pass_over_its_prompt(
    pair: Pair, client: Client, server: RunningServer
) -> None:
    for prompt in PROMPTS:
        before = server.metric("riverrun_serving_tokens_total", {"kind": "prompt"})
        num_tokens = client.generate(prompt, max_tokens=4).prompt_tokens
        after = server.metric("riverrun_serving_tokens_total", {"kind": "prompt"})
        assert num_tokens > MIN_TOKENS
        assert after - before == 2 * (num_tokens - 1) + 1


def test_a_version_without_a_deferral_costs_no_pass_more(
    published: Published, pair: Pair, client: Client, server: RunningServer
) -> None:
    version = published.publish(9)
    wait_live(client, version)
    before = server.metric("riverrun_serving_tokens_total", {"kind": "prompt"})
    answer = client.generate("a prompt of some words", max_tokens=4)
    after = server.metric("riverrun_serving_tokens_total", {"kind": "prompt"})
    assert answer.text == published.greedy(version, "a prompt of some words", 4)
    assert after - before == answer.prompt_tokens


def test_a_prompt_of_one_token_bears_nothing_and_is_not_weighed(
    pair: Pair, client: Client, server: RunningServer
) -> None:
    answer = client.generate("x", max_tokens=4)
    assert answer.prompt_tokens == 1
    assert answer.deferred
    assert answer.text == pair.published.greedy(pair.origin, "x", 4)
    assert server.metric("riverrun_serving_tokens_total", {"kind": "prompt"}) == 1


def test_texts_are_scored_as_their_context_or_all_of_them_decides(
    pair: Pair, client: Client
) -> None:
    published = pair.published
    text = " and on"
    found = client.score([text] * 4 + PROMPTS, contexts=[*PROMPTS, "", "", "", ""], per_token=True)
    encode = published.tokenizer.encode
    for i, prompt in enumerate(PROMPTS):
        weights = pair.origin if prompt in pair.left else pair.version
        after, alone = found.scores[i], found.scores[4 + i]
        assert after.deferred == (prompt in pair.left)
        own, theirs = (
            sum(published.logprobs(one, encode(prompt))) for one in (pair.version, pair.origin)
        )
        assert alone.deferred == (own - theirs < pair.margin)
        whole = published.logprobs(weights, encode(prompt) + encode(text))
        assert after.log_likelihood == pytest.approx(sum(whole[-after.tokens :]), abs=1e-3)
        assert alone.log_likelihood == pytest.approx(theirs if alone.deferred else own, abs=1e-3)
    assert found.version.id == pair.version
    learned = client.score(PROMPTS, never_defer=True)
    for prompt, score in zip(PROMPTS, learned.scores, strict=True):
        own = sum(published.logprobs(pair.version, encode(prompt)))
        assert score.log_likelihood == pytest.approx(own, abs=1e-3)
        assert not score.deferred


def test_who_goes_while_his_prompt_is_weighed_leaves_nothing(
    pair: Pair, server: RunningServer, client: Client
) -> None:
    with held_engine():
        with pytest.raises(RequestFailed, match="DEADLINE") as failed:
            client.generate(PROMPTS[0], max_tokens=4, timeout_s=0.3)
        assert failed.value.code == "DEADLINE_EXCEEDED"
    wait_for(lambda: client.status().load.rows == 0, "rows are free")
    for step in range(2, 8):
        # A pin that leaked would hold a slot for good.
        wait_live(client, pair.publish(step, seed=50))


def test_one_place_is_enough_and_who_finds_none_is_told_at_once(pair: Pair) -> None:
    options = {"max_rows": 1, "max_waiting": 0}
    with (
        running_server(pair.published.root, **options) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        for prompt in PROMPTS:
            answer = client.generate(prompt, max_tokens=LONG)
            assert answer.text == pair.right(pair.version, prompt)
        with ThreadPoolExecutor(1) as pool, held_engine():
            first = pool.submit(client.generate, pair.kept[0], max_tokens=4)
            wait_for(lambda: client.status().load.waiting == 1, "it is weighed")
            with pytest.raises(RequestFailed) as failed:
                client.generate(pair.kept[0], max_tokens=4)
            assert failed.value.code == "RESOURCE_EXHAUSTED"
            assert failed.value.retry_after_s
        assert first.result(30).version.id == pair.version
        for step in range(2, 7):
            wait_live(client, pair.publish(step, seed=50))


def test_an_origin_that_is_damaged_refuses_the_version_and_the_old_one_stays(
    published: Published,
) -> None:
    old = published.publish(1)
    origin = published.put_origin(seed=77)
    path = published.root / "store" / "origin" / origin
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with (
        running_server(published.root) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        published.publish(2, deferral=Deferral(origin, 5.0))
        wait_for(
            lambda: server.metric("riverrun_serving_refused_versions_total") == 1, "it is refused"
        )
        assert client.generate("x", max_tokens=2).version.id == old


def test_http_names_the_version_and_says_whose_weights_answered(
    pair: Pair, server: RunningServer
) -> None:
    for prompt in PROMPTS:
        body = {"model": "tiny", "prompt": prompt, "max_tokens": LONG, "temperature": 0}
        reply = httpx.post(f"{server.http_address}/v1/completions", json=body)
        assert reply.json()["choices"][0]["text"] == pair.right(pair.version, prompt)
        assert reply.headers["x-riverrun-version"] == pair.version
        assert reply.headers["x-riverrun-deferred"] == str(prompt in pair.left).lower()
        streamed = httpx.post(f"{server.http_address}/v1/completions", json=body | {"stream": True})
        for header in ("x-riverrun-version", "x-riverrun-deferred"):
            assert streamed.headers[header] == reply.headers[header]
        body["version"] = {"never_defer": True}
        reply = httpx.post(f"{server.http_address}/v1/completions", json=body)
        assert reply.json()["choices"][0]["text"] == pair.published.greedy(
            pair.version, prompt, LONG
        )
        assert reply.headers["x-riverrun-deferred"] == "false"
