"""Each policy keeps and shows what its law says."""

import math

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from learner.framing import Example
from learner.memory import Memory, Tuning
from learner.memory.loss_aware import FLOOR
from learner.memory.make import memory_of, replayed_blocks
from learner.memory.policies import POLICIES
from learner.memory.sum_tree import SumTree
from learner.recipe import SCRATCH
from learner.seeds import random_for
from riverrun.errors import InvalidValue
from tests.learner.fakes import RECIPE


def numbered(*numbers: int) -> list[Example]:
    return [Example([number, 0], 1) for number in numbers]


def shares(memory: Memory) -> dict[str, int]:
    held = memory.table["sources"][: memory.num_held]
    return {name: int((held == number).sum()) for name, number in memory.sources.items()}


# Balanced


def test_full_balanced_memory_gives_every_large_source_the_same_share_within_one_block() -> None:
    memory = Memory(50, 4, policy="balanced")
    random = random_for(0, 0, "test")
    for i in range(400):
        memory.add(numbered(i), "much", random)
    assert shares(memory) == {"much": 50}
    for number, name in enumerate(["second", "third", "fourth"], 2):
        for i in range(3):
            memory.add(numbered(*range(20 * i, 20 * i + 20)), name, random)
            memory.add(numbered(i), "much", random)
        counts = shares(memory).values()
        assert sum(counts) == 50
        assert max(counts) - min(counts) <= 1, (number, counts)


def test_a_source_smaller_than_its_share_keeps_all_that_it_offered() -> None:
    memory = Memory(30, 4, policy="balanced")
    random = random_for(0, 0, "test")
    memory.add(numbered(*range(100)), "a", random)
    memory.add(numbered(900, 901, 902), "small", random)
    memory.add(numbered(*range(100)), "b", random)
    assert shares(memory) in ({"a": 13, "small": 3, "b": 14}, {"a": 14, "small": 3, "b": 13})
    held = memory.tokens_CT[:, 0].tolist()
    assert {900, 901, 902} <= set(held)


def test_what_a_source_holds_is_a_uniform_sample_of_what_it_offered() -> None:
    """Also across the moment when another source takes half of its blocks."""
    offered, capacity, trials = 30, 8, 1500
    held = np.zeros(offered)
    for trial in range(trials):
        memory = Memory(capacity, 4, policy="balanced")
        random = random_for(trial, 0, "test")
        for i in range(offered):
            memory.add(numbered(i), "a", random)
            if i > 14:
                memory.add(numbered(100), "b", random)
        of_a = memory.table["sources"] == 0
        held[memory.tokens_CT[:, 0].numpy()[of_a]] += 1
    p = held.sum() / trials / offered
    assert p == pytest.approx(4 / offered, abs=0.02)
    assert np.abs(held - trials * p).max() < 5 * math.sqrt(trials * p * (1 - p))


def test_with_more_sources_than_blocks_the_sources_are_a_uniform_sample() -> None:
    sources, capacity, trials = 12, 4, 1500
    held = np.zeros(sources)
    for trial in range(trials):
        memory = Memory(capacity, 4, policy="balanced")
        random = random_for(trial, 0, "test")
        for i in range(sources):
            memory.add(numbered(i, i), f"s{i}", random)
        counts = shares(memory)
        assert sorted(counts.values(), reverse=True)[:capacity] == [1] * capacity
        held[memory.tokens_CT[:, 0].numpy()] += 1
    p = capacity / sources
    assert np.abs(held - trials * p).max() < 5 * math.sqrt(trials * p * (1 - p))


# Recency


@pytest.mark.parametrize("half_life", [5, 40])
def test_an_example_is_drawn_half_as_often_after_each_half_life(half_life: int) -> None:
    held, trials = 100, 20_000
    memory = Memory(held, 4, policy="recency", tuning=Tuning(half_life=half_life))
    memory.add(numbered(*range(3 * held)), "s", random_for(0, 0, "add"))
    assert sorted(memory.tokens_CT[:, 0].tolist()) == list(range(200, 300)), "the newest are held"
    random = random_for(1, 0, "sample")
    drawn = np.zeros(held)
    for _ in range(trials):
        drawn[299 - memory.sample(1, random).examples[0].tokens[0]] += 1
    law = 2.0 ** (-np.arange(held) / half_life)
    law /= law.sum()
    assert np.abs(drawn - trials * law).max() < 5 * math.sqrt(trials * law.max())
    first, second = drawn[:half_life].sum(), drawn[half_life : 2 * half_life].sum()
    assert first / second == pytest.approx(2.0, rel=0.1)


def test_a_batch_of_many_half_lives_is_still_of_different_examples() -> None:
    memory = Memory(100, 4, policy="recency", tuning=Tuning(half_life=1))
    memory.add(numbered(*range(100)), "s", random_for(0, 0, "add"))
    slots = memory.sample(60, random_for(1, 0, "sample")).slots
    assert len(set(slots.tolist())) == 60


# Loss-aware


def test_an_example_is_drawn_as_its_last_loss_to_the_power() -> None:
    memory = Memory(20, 4, policy="loss-aware", tuning=Tuning(power=0.6))
    memory.add(numbered(*range(20)), "s", random_for(0, 0, "add"))
    losses = np.linspace(0.0, 6.0, 20)
    memory.update_losses(np.arange(20), np.full(20, 9.0))
    memory.update_losses(np.arange(20), losses)
    random, trials = random_for(1, 0, "sample"), 20_000
    drawn = np.zeros(20)
    for _ in range(trials):
        drawn[memory.sample(1, random).slots] += 1
    law = (losses + FLOOR) ** 0.6
    law /= law.sum()
    assert np.abs(drawn - trials * law).max() < 5 * math.sqrt(trials * law.max())


def test_a_new_example_counts_as_the_largest_loss_so_far() -> None:
    memory = Memory(4, 4, policy="loss-aware")
    memory.add(numbered(0, 1), "s", random_for(0, 0, "add"))
    memory.update_losses(np.array([0, 1]), np.array([7.5, 0.1]))
    memory.update_losses(np.array([0]), np.array([math.nan]))
    memory.add(numbered(2), "s", random_for(0, 1, "add"))
    assert memory.table["losses"].tolist() == pytest.approx([7.5, 0.1, 7.5, 0.0])


def test_draws_of_a_tree_are_different_and_follow_what_is_left() -> None:
    """The second of two draws: the sum over all firsts of what is left after it."""
    weights = np.array([1.0, 2.0, 0.0, 5.0, 8.0] + [0.5] * 300)
    tree = SumTree(len(weights))
    tree.write(np.arange(len(weights)), weights)
    p = weights / weights.sum()
    second = sum(p[i] * np.where(np.arange(len(p)) == i, 0, p) / (1 - p[i]) for i in range(len(p)))
    random, trials = random_for(0, 0, "test"), 20_000
    drawn = np.zeros((2, len(p)))
    for _ in range(trials):
        leaves = tree.draw(2, random)
        assert leaves[0] != leaves[1]
        drawn[[0, 1], leaves] += 1
    assert np.abs(drawn - trials * np.stack([p, second])).max() < 5 * math.sqrt(trials * p.max())
    assert drawn[:, 2].sum() == 0
    everything = tree.draw(len(weights) - 1, random)
    assert len(set(everything.tolist())) == len(weights) - 1, "all that have a weight"


# All of them


@pytest.mark.parametrize("policy", POLICIES)
def test_samples_are_different_and_held(policy: str) -> None:
    memory = Memory(40, 4, policy=policy)
    random = random_for(0, 0, "test")
    for i in range(30):
        memory.add(numbered(3 * i, 3 * i + 1, 3 * i + 2), f"s{i % 3}", random)
        wanted = 7
        sampled = memory.sample(wanted, random)
        assert len(set(sampled.slots.tolist())) == min(wanted, memory.num_held)
        assert sampled.slots.max() < memory.num_held
    assert len(memory.sample(100, random).slots) == memory.num_held == 40


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_generators_give_equal_memories(policy: str) -> None:
    one, other = Memory(20, 4, policy=policy), Memory(20, 4, policy=policy)
    for memory in (one, other):
        random = random_for(0, 0, "test")
        torch.manual_seed(id(memory) % 1000)
        for i in range(50):
            memory.add(numbered(i, -i), f"s{i % 3}", random)
    assert torch.equal(one.tokens_CT, other.tokens_CT)
    draws = [m.sample(8, random_for(1, 0, "x")).slots.tolist() for m in (one, other)]
    assert draws[0] == draws[1]


def test_an_unknown_policy_or_place_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidValue, match=r"learner.memory_policy.*'newest'.*reservoir, balanced"):
        memory_of(replace(RECIPE, memory_policy="newest"))


def test_a_memory_smaller_than_a_step_s_replay_is_refused_with_what_it_takes() -> None:
    least = replayed_blocks(SCRATCH)
    assert least == 6
    memory_of(replace(SCRATCH, memory_blocks=least))
    with pytest.raises(InvalidValue, match=r"learner.memory_blocks: 5 is not allowed.*from 6"):
        memory_of(replace(SCRATCH, memory_blocks=least - 1))
