"""The replay memory is a reservoir, and stays as large as it was made."""

import math

import numpy as np

from learner.framing import Example
from learner.memory import Memory
from learner.seeds import distinct, random_for


def numbered(number: int) -> Example:
    return Example([number, 0], 1)


def test_every_example_ever_added_is_held_equally_often() -> None:
    """Frequencies within five standard deviations of binomial(trials, capacity / added)."""
    capacity, added, trials = 8, 40, 1500
    held = np.zeros(added)
    for trial in range(trials):
        memory = Memory(capacity, 4)
        random = random_for(trial, 0, "test")
        memory.add([numbered(i) for i in range(added)], "s", random)
        held[memory.tokens_CT[:, 0].numpy()] += 1
    p = capacity / added
    bound = 5 * math.sqrt(trials * p * (1 - p))
    assert held.sum() == trials * capacity
    assert np.abs(held - trials * p).max() < bound


def test_every_held_example_is_sampled_equally_often() -> None:
    memory = Memory(20, 4)
    memory.add([numbered(i) for i in range(20)], "s", random_for(0, 0, "add"))
    trials, wanted = 2000, 5
    drawn = np.zeros(20)
    for trial in range(trials):
        sample = memory.sample(wanted, random_for(trial, 0, "sample"))
        chosen = [example.tokens[0] for example in sample.examples]
        assert len(set(chosen)) == wanted
        drawn[chosen] += 1
    p = wanted / 20
    assert np.abs(drawn - trials * p).max() < 5 * math.sqrt(trials * p * (1 - p))


def test_the_memory_never_grows() -> None:
    memory = Memory(16, 8)

    def places() -> list[int]:
        columns = [column.ctypes.data for column in memory.table.columns.values()]
        return [memory.tokens_CT.data_ptr(), *columns]

    before = places()
    random = random_for(0, 0, "test")
    for i in range(1000):
        memory.add([Example([i] * (1 + i % 7) + [0], 1)], "s", random)
    assert before == places()
    assert memory.num_held == memory.capacity == 16
    assert memory.num_seen == 1000


def test_an_example_comes_back_as_it_was_added() -> None:
    memory = Memory(4, 8)
    examples = [Example([5, 6, 7], 0, follows_prefix=True), Example([8] * 8, 3)]
    memory.add(examples, "s", random_for(0, 0, "add"))
    assert memory.sample(4, random_for(0, 0, "sample")).examples == examples


def test_distinct_indices_are_distinct_and_in_range() -> None:
    for num_all in range(12):
        for wanted in range(14):
            chosen = distinct(random_for(num_all, wanted, "test"), num_all, wanted)
            assert len(chosen) == len(set(chosen)) == min(num_all, wanted)
            assert all(0 <= index < num_all for index in chosen)
