"""The replay memory: one batch added and one sampled, by how much is held; beside Avalanche's.

A batch is BATCH blocks of BLOCK tokens. The memory is full and was offered twice what it holds, so
half of what is added replaces something. Sizes and policies take turns within each round, in an
order that changes, so that a busy machine slows them all; times are medians over the rounds, growth
is the median of each round's ratio. One thread: a batch is too small for two.

Avalanche's `ReservoirSamplingBuffer` holds the same blocks as rows of a tensor data set; sampling
from it is what its loaders do: different indices, items, collated. It is timed in the same rounds,
and fewer of them, since it keeps every data set that it was ever given and slows down with each.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import torch

from learner.framing import Example
from learner.memory import Memory
from learner.memory.policies import POLICIES
from learner.seeds import random_for

BLOCK = 256
BATCH = 16
SMALL, LARGE = 1_000_000, 10_000_000
"""Tokens held."""
DEFAULT = "reservoir"


class PolicyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds for one add and one sample; `growth` is the median ratio within a round."""

    ms_at_1m: float
    ms_at_10m: float
    growth: float


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`ms_at_1m` and `growth_to_10m` are of the default policy."""

    ms_at_1m: float
    growth_to_10m: float
    avalanche_ms: float
    block_tokens: int
    batch_blocks: int
    rounds: int
    policies: dict[str, PolicyFigures]
    step_checkpoint_bytes: int
    whole_checkpoint_bytes: int


def run(rounds: int, on_progress: Callable[[str], None] = lambda _: None) -> MemoryFigures:
    """Measure; takes about half a minute at 200 rounds."""
    torch.set_num_threads(1)
    batch = _batch(BATCH)
    memories: dict[tuple[str, int], Memory] = {}
    for policy in POLICIES:
        for tokens in (SMALL, LARGE):
            on_progress(f"filling {policy} with {tokens:,} tokens")
            memories[policy, tokens] = _full(policy, tokens)
    on_progress("filling Avalanche's ReservoirSamplingBuffer")
    avalanche = _Avalanche(SMALL // BLOCK)
    times: dict[tuple[str, int], list[float]] = {key: [] for key in memories}
    theirs: list[float] = []
    on_progress(f"measuring, {rounds} rounds")
    for number in range(rounds):
        order = random_for(0, number, "order").permutation(len(memories)).tolist()
        for key, memory in (list(memories.items())[place] for place in order):
            # So often as at first, however many rounds there are.
            memory.table.num_seen = 2 * memory.capacity
            random = random_for(0, number, "bench")
            began = time.perf_counter()
            memory.add(batch, f"source {number % 5}", random)
            sampled = memory.sample(BATCH, random)
            times[key].append(time.perf_counter() - began)
            memory.update_losses(sampled.slots, np.full(BATCH, 1.0 + number % 7))
        if number % 10 == 0:
            theirs.append(avalanche.once())
    figures = {}
    for policy in POLICIES:
        small, large = times[policy, SMALL], times[policy, LARGE]
        ratios = [after / before for before, after in zip(small, large, strict=True)]
        figures[policy] = PolicyFigures(
            ms_at_1m=round(1e3 * statistics.median(small), 4),
            ms_at_10m=round(1e3 * statistics.median(large), 4),
            growth=round(statistics.median(ratios), 3),
        )
    whole, step = _checkpoint_bytes(memories[DEFAULT, SMALL], batch)
    return MemoryFigures(
        ms_at_1m=figures[DEFAULT].ms_at_1m,
        growth_to_10m=figures[DEFAULT].growth,
        avalanche_ms=round(1e3 * statistics.median(theirs), 4),
        block_tokens=BLOCK,
        batch_blocks=BATCH,
        rounds=rounds,
        policies=figures,
        step_checkpoint_bytes=step,
        whole_checkpoint_bytes=whole,
    )


def table(figures: MemoryFigures) -> str:
    """For people."""
    lines = [
        f"add + sample of {figures.batch_blocks} blocks of {figures.block_tokens} tokens, "
        f"medians of {figures.rounds} rounds",
        f"{'policy':<32} {'1M tokens':>10} {'10M':>10} {'growth':>7}",
    ]
    for name, one in figures.policies.items():
        lines.append(
            f"{name:<32} {one.ms_at_1m:>7.3f} ms {one.ms_at_10m:>7.3f} ms {one.growth:>6.2f}x"
        )
    lines += [
        f"{'Avalanche ReservoirSamplingBuffer':<32} {figures.avalanche_ms:>6.1f} ms",
        f"checkpoint: {figures.whole_checkpoint_bytes:,} bytes whole at 1M tokens, "
        f"{figures.step_checkpoint_bytes:,} bytes for one batch's change",
    ]
    return "\n".join(lines)


def _batch(number: int) -> list[Example]:
    random = random_for(0, number, "blocks")
    return [Example(random.integers(0, 49_152, BLOCK).tolist(), 1) for _ in range(number)]


def _full(policy: str, tokens: int) -> Memory:
    capacity = tokens // BLOCK
    memory = Memory(capacity, BLOCK, policy=policy)
    random, some = random_for(1, 0, "bench"), _batch(64)
    while memory.num_seen < capacity + 64:
        memory.add(some, f"source {memory.num_seen // 64 % 5}", random)
    return memory


def _checkpoint_bytes(memory: Memory, batch: list[Example]) -> tuple[int, int]:
    whole = memory.snapshot(whole=True)
    memory.table.num_seen = memory.capacity
    memory.add(batch, "source 0", random_for(2, 0, "bench"))
    changed = memory.snapshot(whole=False)
    first, second = (
        sum(tensor.nbytes for tensor in snapshot.tensors.values()) + len(snapshot.facts)
        for snapshot in (whole, changed)
    )
    return first, second


class _Avalanche:
    """Its reservoir, as full as ours."""

    def __init__(self, capacity: int) -> None:
        from learner.avalanche import library

        policies = library.load("avalanche.training.storage_policy")
        from learner.avalanche.rows import dataset_of, rows_of

        self._buffer: Any = policies.ReservoirSamplingBuffer(max_size=capacity)
        self._buffer.update_from_dataset(dataset_of(*rows_of(_batch(capacity), BLOCK)))
        self._batch: Any = dataset_of(*rows_of(_batch(BATCH), BLOCK))

    def once(self) -> float:
        began = time.perf_counter()
        self._buffer.update_from_dataset(self._batch)
        indices = torch.randperm(len(self._buffer.buffer))[:BATCH].tolist()
        rows = self._buffer.buffer.collate_fn([self._buffer.buffer[i] for i in indices])
        took = time.perf_counter() - began
        assert len(rows[0]) == BATCH
        return took
