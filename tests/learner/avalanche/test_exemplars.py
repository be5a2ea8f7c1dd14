"""Our memory within Avalanche: its ReplayPlugin trains from it."""

import warnings
from typing import Any

import pytest
import torch

from learner.avalanche import library
from learner.framing import Example
from tests.learner import fakes

library.load()

from learner.avalanche.exemplars import MemoryBuffer  # noqa: E402
from learner.avalanche.rows import (  # noqa: E402
    RowModel,
    criterion,
    dataset_of,
    examples_of,
    rows_of,
    tensors_of,
)

T = 12


class Experienced:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


def data(first: int, number: int) -> Any:
    return dataset_of(*rows_of([Example([first + i, 1, 2], 1) for i in range(number)], T))


def firsts(buffer: MemoryBuffer) -> list[int]:
    return sorted(x.tokens[0] for x in examples_of(tensors_of(buffer.buffer)[0]))


def test_rows_are_examples_and_back() -> None:
    examples = [Example([5, 6, 7], 1), Example([8, 9], 0, follows_prefix=True)]
    x, y = rows_of(examples, T)
    assert examples_of(x) == examples
    assert y[y != -100].tolist() == [6, 7, 8, 9]


def test_the_buffer_holds_a_reservoir_of_all_experiences_and_shrinks_to_one() -> None:
    buffer = MemoryBuffer(10, T)
    for number in range(4):
        buffer.post_adapt(None, Experienced(data(10 * number, 10)))
    held = firsts(buffer)
    assert len(held) == len(buffer.buffer) == 10
    assert set(held) <= set(range(40))
    assert max(held) >= 10
    buffer.resize(None, 4)
    assert buffer.max_size == len(buffer.buffer) == 4
    assert set(firsts(buffer)) < set(held)
    assert buffer.memory.num_seen == 40, "it is still a sample of all"


def test_a_balanced_buffer_shares_among_experiences() -> None:
    buffer = MemoryBuffer(9, T, policy="balanced")
    for number in range(3):
        buffer.post_adapt(None, Experienced(data(10 * number, 10)))
    assert [sum(x // 10 == n for x in firsts(buffer)) for n in range(3)] == [3, 3, 3]


def test_avalanche_s_replay_plugin_trains_from_our_memory() -> None:
    """In Avalanche's own loop, batches of the second experience hold text of the first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from avalanche.benchmarks import benchmark_from_datasets
        from avalanche.core import SupervisedPlugin
        from avalanche.training.plugins import ReplayPlugin
        from avalanche.training.supervised import Naive

        model = RowModel(fakes.model(), [], 96)
        buffer = MemoryBuffer(8, T)
        seen: list[set[int]] = []

        class Watch(SupervisedPlugin):  # type: ignore[misc]
            def after_forward(self, strategy: Any, **kwargs: Any) -> None:
                del kwargs
                seen.append({x.tokens[0] for x in examples_of(strategy.mb_x)})

        agent = Naive(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            criterion=criterion,
            train_mb_size=4,
            plugins=[ReplayPlugin(mem_size=8, storage_policy=buffer), Watch()],
            evaluator=None,
        )
        benchmark = benchmark_from_datasets(train=[data(0, 8), data(100, 8)])
        losses = []
        for experience in benchmark.train_stream:
            agent.train(experience, eval_streams=[])
            losses.append(float(agent.loss.sum()))
    first, second = seen[:2], seen[2:]
    assert all(max(batch) < 100 for batch in first)
    assert second
    assert all(min(batch) < 100 <= max(batch) for batch in second)
    assert len(buffer.buffer) == 8
    with pytest.raises(AttributeError):
        buffer.buffer = None  # type: ignore[misc]
