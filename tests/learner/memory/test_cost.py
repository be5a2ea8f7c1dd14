"""Adding and sampling touch what the batch touches, however much is held: counted, not timed."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from learner.framing import Example
from learner.memory import Memory
from learner.memory.loss_aware import LossAware
from learner.memory.policies import POLICIES
from learner.seeds import random_for

SMALL, LARGE = 1_000, 100_000
"""Slots. A hundred times as many may cost twice as much: a tree of sums is two levels deeper."""
BATCH = 16
ROUNDS = 20


class Counted(np.ndarray[Any, np.dtype[Any]]):
    """An array that counts the elements of it that are read or written; views of it do too."""

    touched = 0

    def __getitem__(self, key: Any) -> Any:
        found = np.asarray(self)[key]
        if isinstance(key, slice):
            return found.view(Counted)
        Counted.touched += found.size
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        plain = np.asarray(self)
        Counted.touched += plain[key].size
        plain[key] = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **rest: Any) -> Any:
        return getattr(ufunc, method)(*map(uncounted, inputs), **rest)

    def __array_function__(self, func: Any, _types: Any, args: Any, rest: Any) -> Any:
        return func(*map(uncounted, args), **{name: uncounted(x) for name, x in rest.items()})


def uncounted(value: Any) -> Any:
    """As it is without counting; all of it is read."""
    if not isinstance(value, Counted):
        return value
    Counted.touched += value.size
    return np.asarray(value)


class TokensTouched(TorchDispatchMode):
    """Counts elements that torch reads and writes; of what is indexed, those that were meant."""

    READS, WRITES = torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default

    def __init__(self) -> None:
        super().__init__()
        self.num = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        meant = args[1:] if func in (self.READS, self.WRITES) else args
        if func is not self.WRITES:
            meant = [*meant, found]
        self.num += sum(one.numel() for one in flat(meant) if isinstance(one, torch.Tensor))
        return found


def flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value


def full(policy: str, capacity: int) -> Memory:
    """A memory that was offered twice what it holds."""
    memory = Memory(capacity, 4, policy=policy)
    for i in range(2 * capacity // 1000):
        memory.add(examples(1000), f"s{i % 3}", random_for(0, i, "fill"))
    assert memory.num_held == capacity
    return memory


def examples(num: int) -> list[Example]:
    return [Example([i % 250, 1, 0], 1) for i in range(num)]


def watch(memory: Memory) -> None:
    """Let whatever is as long as the memory count."""
    table = memory.table
    table.columns = {name: column.view(Counted) for name, column in table.columns.items()}
    table._has_changed_C = table._has_changed_C.view(Counted)
    if isinstance(memory.policy, LossAware):
        tree = memory.policy._tree
        tree._levels = [level.view(Counted) for level in tree._levels]


def cost(policy: str, capacity: int) -> tuple[int, int, int]:
    """Elements that numpy touches, those that torch does, and the most bytes taken at a time."""
    memory = full(policy, capacity)
    watch(memory)
    batch, random = examples(BATCH), random_for(1, 0, "cost")
    Counted.touched = 0
    tracemalloc.start()
    try:
        with TokensTouched() as tokens:
            for i in range(ROUNDS):
                memory.add(batch, f"s{i % 3}", random)
                sampled = memory.sample(BATCH, random)
                memory.update_losses(sampled.slots, np.full(BATCH, 1.5))
        most_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return Counted.touched, tokens.num, most_bytes


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_batch_touches_no_more_of_a_memory_a_hundred_times_as_large(policy: str) -> None:
    small, large = cost(policy, SMALL), cost(policy, LARGE)
    assert min(small) > 0, "something was counted"
    for what, few, many in zip(("elements", "tokens", "bytes"), small, large, strict=True):
        assert many <= 2 * few, (what, few, many)


def test_what_goes_through_all_of_the_memory_is_noticed() -> None:
    """The counting itself: one look through a column, one copy of all tokens."""
    memory = full("reservoir", SMALL)
    watch(memory)
    Counted.touched = 0
    assert np.flatnonzero(memory.table["lengths"][: memory.num_held]).size == SMALL
    assert Counted.touched >= SMALL
    with TokensTouched() as tokens:
        memory.tokens_CT.clone()
    assert tokens.num >= SMALL * 4
