"""Swaps under load: does a client notice that the weights change?

A real serving process, streaming clients that ask without a pause, and a process of low priority
that publishes. Windows with swaps and windows without take turns. Afterwards every answer is held
against the weights that it names, by full forwards without a cache: one that another version gave,
or two versions together, is not greedy of the one that it names. Compared with: the same server
and the same load while no version comes.
"""

import asyncio
import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.streams import Ask, Seen, Streams, percentile
from bench.wide_versions import Publisher, served_alone, wide_weights
from riverrun.answers import Answer
from riverrun.client import AsyncClient
from riverrun.errors import RiverrunError
from riverrun.settings import Settings
from riverrun.store import store_of
from riverrun.tokenizer import Tokenizer

if TYPE_CHECKING:
    from riverrun.model.decoder import Decoder

LIVE_WITHIN_S = 60.0
ROUNDINGS = 10
"""What fell short by so many times what rounding does to the full forward, serving's order of
adding up may still explain."""


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """p99_ratio: between two messages of an answer, which are `chunk_interval_s` apart at least, of
    all swap windows by all steady ones; median_ratio: of the windows' own ratios the median; total:
    of whole answers. ties, widest_tie: answers that rounding decided, see `Counted`.
    """

    model: str
    clients: int
    swaps: int
    requests: int
    failed: int
    mixed: int
    ties: int
    widest_tie: float
    chunk_interval_s: float
    p50_ratio: float
    p99_ratio: float
    median_ratio: float
    total_p99_ratio: float
    p99_swaps_s: float
    p99_steady_s: float
    swaps_per_s: float
    tokens_per_s: float


class Checked(msgspec.Struct, frozen=True):
    """An answer, as far as it is checked."""

    prompt: str
    seed: int
    tokens: list[int]


def run(
    settings: Settings,
    num_swaps: int,
    num_clients: int,
    swaps_a_window: int,
    interval_s: float,
    tell: Callable[[str], None],
) -> Swap:
    """`interval_s`: from one swap's publishing to the next one's, at least."""
    with served_alone(settings) as (served, address):
        answers: list[Checked] = []

        def keep(prompt: str, answer: Answer) -> None:
            tokens = [one.id for one in answer.logprobs or ()]
            answers.append(Checked(prompt, answer.version.step, tokens))

        store = store_of(served)
        with Publisher(store.url) as publisher:
            measured = asyncio.run(
                _measure(
                    address,
                    publisher,
                    num_swaps,
                    num_clients,
                    swaps_a_window,
                    interval_s,
                    tell,
                    keep,
                )
            )
        tell(f"{len(answers)} answers: each against the weights that it names")
        tokenizer = Tokenizer(store.model_files(served.data_dir))
        counted = count_mixed(answers, tokenizer)
    return _result(measured, num_clients, counted, served.serving.chunk_interval_s)


class _Measured(msgspec.Struct):
    swapping: list[Seen]
    steady: list[Seen]
    num_swaps: int
    num_requests: int
    swapping_s: float


async def _measure(
    address: str,
    publisher: Publisher,
    num_swaps: int,
    num_clients: int,
    swaps_a_window: int,
    interval_s: float,
    tell: Callable[[str], None],
    keep: Callable[[str, Answer], None],
) -> _Measured:
    measured = _Measured([], [], 0, 0, 0.0)
    async with AsyncClient(address, timeout_s=120, retries=0) as client:
        before = (await client.status()).swaps
        live = _Live(client)
        streams = Streams(client, Ask(logprobs=0), keep)
        streams.start(num_clients)
        await asyncio.sleep(1.0)
        seed = 1
        while seed <= num_swaps:
            count = min(swaps_a_window, num_swaps + 1 - seed)
            streams.seen = Seen()
            began = time.perf_counter()
            for _ in range(count):
                seed += 1
                published_at = time.perf_counter()
                version = await asyncio.to_thread(publisher.publish, seed)
                await live.wait(version)
                await asyncio.sleep(interval_s - (time.perf_counter() - published_at))
            seconds = time.perf_counter() - began
            measured.swapping.append(streams.seen)
            measured.swapping_s += seconds
            streams.seen = Seen()
            await asyncio.sleep(seconds)
            measured.steady.append(streams.seen)
            tell(f"{seed - 1} swaps")
        streams.seen = Seen()
        await streams.stop()
        measured.num_swaps = (await client.status()).swaps - before
        measured.num_requests = streams.num_requests
        live.close()
    return measured


class _Live:
    """Watches which version is live; in both kinds of windows, so that it costs both the same."""

    def __init__(self, client: AsyncClient) -> None:
        self._version = ""
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(self._watch(client))

    async def _watch(self, client: AsyncClient) -> None:
        async for status in client.watch(0.02):
            if status.version is not None and status.version.id != self._version:
                self._version = status.version.id
                self._changed.set()

    async def wait(self, version: str) -> None:
        try:
            async with asyncio.timeout(LIVE_WITHIN_S):
                while self._version != version:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise RiverrunError(f"{version} was not live within {LIVE_WITHIN_S:g} s") from None

    def close(self) -> None:
        self._task.cancel()


class Counted(msgspec.Struct, frozen=True):
    """mixed: answers that are not greedy of the weights that they name. ties: those that rounding
    decided. widest_tie: by how much the largest of these fell short, of a token's spread of logits.
    """

    mixed: int
    ties: int
    widest_tie: float


def count_mixed(answers: Sequence[Checked], tokenizer: Tokenizer) -> Counted:
    """Each answer against a full forward, without a cache, of the weights that it names.

    Serving adds up in another order than a full forward, so of two logits that are as good as equal
    either may be the largest. How much rounding does to a token is measured, not guessed: by how
    much its logits in float32 differ from those in float64: with these weights 1e-5 of their spread
    in the middle, and 5e-4 at most (docs/experiments.md). What another version says is far from it.
    """
    import torch

    by_shape: dict[int, dict[tuple[int, int], list[Checked]]] = {}
    for answer in answers:
        if answer.tokens:
            shape = len(tokenizer.encode(answer.prompt)), len(answer.tokens)
            by_shape.setdefault(answer.seed, {}).setdefault(shape, []).append(answer)
    mixed, ties = 0, [0.0]
    with torch.inference_mode():
        for seed, theirs in by_shape.items():
            decoder = wide_weights(seed)
            doubted: list[tuple[list[int], list[int]]] = []
            for (num_prompt, _), alike in theirs.items():
                rows = [tokenizer.encode(one.prompt) + one.tokens for one in alike]
                logits_BTV = decoder(torch.tensor(rows))[:, num_prompt - 1 : -1]
                said_BT = torch.tensor([one.tokens for one in alike])
                is_greedy_B = (logits_BTV.argmax(2) == said_BT).all(1).tolist()
                doubted += [
                    (row[:num_prompt], row[num_prompt:])
                    for row, is_greedy in zip(rows, is_greedy_B, strict=True)
                    if not is_greedy
                ]
            precise = copy.deepcopy(decoder).double() if doubted else None
            for prompt, said in doubted:
                assert precise is not None
                short, rounding = _falls_short(decoder, precise, prompt, said)
                if short > ROUNDINGS * rounding:
                    mixed += 1
                elif short > 0:
                    ties.append(short)
    return Counted(mixed, len(ties) - 1, max(ties))


def _falls_short(
    decoder: "Decoder", precise: "Decoder", prompt: list[int], said: list[int]
) -> tuple[float, float]:
    """Of a token's spread of logits: by how much the worst of what was said is not the largest, and
    what rounding does there."""
    import torch

    def logits_TV(one: "Decoder") -> torch.Tensor:
        logits_BTV: torch.Tensor = one(torch.tensor([prompt + said]))
        return logits_BTV[0, len(prompt) - 1 : -1].double()

    exact_TV = logits_TV(precise)
    spread_T = exact_TV.std(1)
    rounding_T = (logits_TV(decoder) - exact_TV).abs().amax(1) / spread_T
    said_T = exact_TV.gather(1, torch.tensor(said)[:, None])[:, 0]
    short_T = (exact_TV.amax(1) - said_T) / spread_T
    # Where what was said is the largest, no more is to be asked.
    excess_T = (short_T - ROUNDINGS * rounding_T).masked_fill(short_T == 0, -math.inf)
    worst = int(excess_T.argmax())
    return float(short_T[worst]), float(rounding_T[worst])


def _result(
    measured: _Measured, num_clients: int, counted: Counted, chunk_interval_s: float
) -> Swap:
    swapping = [gap for seen in measured.swapping for gap in seen.gaps_s]
    steady = [gap for seen in measured.steady for gap in seen.gaps_s]
    slow = [total for seen in measured.swapping for total in seen.total_s]
    usual = [total for seen in measured.steady for total in seen.total_s]
    windows = [*measured.swapping, *measured.steady]
    ratios = [
        percentile(one.gaps_s, 0.99) / percentile(other.gaps_s, 0.99)
        for one, other in zip(measured.swapping, measured.steady, strict=True)
    ]
    return Swap(
        model="tiny",
        clients=num_clients,
        swaps=measured.num_swaps,
        requests=measured.num_requests,
        failed=sum(seen.refused + sum(seen.failed.values()) for seen in windows),
        mixed=counted.mixed,
        ties=counted.ties,
        widest_tie=counted.widest_tie,
        chunk_interval_s=chunk_interval_s,
        p50_ratio=round(percentile(swapping, 0.5) / percentile(steady, 0.5), 3),
        p99_ratio=round(percentile(swapping, 0.99) / percentile(steady, 0.99), 3),
        median_ratio=round(statistics.median(ratios), 3),
        total_p99_ratio=round(percentile(slow, 0.99) / percentile(usual, 0.99), 3),
        p99_swaps_s=round(percentile(swapping, 0.99), 5),
        p99_steady_s=round(percentile(steady, 0.99), 5),
        swaps_per_s=round(measured.num_swaps / measured.swapping_s, 2),
        tokens_per_s=round(sum(seen.num_tokens for seen in windows) / (2 * measured.swapping_s), 1),
    )
