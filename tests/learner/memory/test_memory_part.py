"""What the memory gives a checkpoint, and what strategies store in it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from learner.framing import Example
from learner.memory import Extra, Memory, Place
from learner.memory.policies import POLICIES
from learner.part import Snapshot
from learner.seeds import Random, random_for
from riverrun.errors import CheckpointError, InvalidValue

EXTRAS = {"ids": Extra(3, torch.int32), "logprobs": Extra(3, torch.float16)}


def made(policy: str = "reservoir", capacity: int = 40, place: str = "memory") -> Memory:
    return Memory(capacity, 12, policy=policy, extras=EXTRAS, place=Place(place))


def some(random: Random, number: int) -> list[Example]:
    found = []
    for _ in range(number):
        tokens = random.integers(0, 1000, int(random.integers(2, 13))).tolist()
        first = int(random.integers(1, len(tokens)))
        found.append(Example(tokens, first, follows_prefix=bool(random.integers(2))))
    return found


def use(memory: Memory, steps: range) -> None:
    """Everything that changes a memory."""
    for step in steps:
        random = random_for(0, step, "test")
        examples = some(random, 6)
        placed = memory.add(examples, f"s{step % 4}", random)
        stored = placed.slots[::2]
        num = sum(examples[i].num_targets for i in placed.kept[::2])
        values = torch.from_numpy(random.integers(0, 99, (num, 3)))
        memory.store(stored, "ids", values)
        memory.store(stored, "logprobs", -values / 7)
        slots = memory.sample(4, random).slots
        memory.update_losses(slots, random.random(len(slots)) * 5)


def kept(snapshot: Snapshot) -> Snapshot:
    return snapshot._replace(tensors={n: t.clone() for n, t in snapshot.tensors.items()})


def assert_equal(one: Memory, other: Memory) -> None:
    first, second = one.snapshot(whole=True), other.snapshot(whole=True)
    assert first.facts == second.facts
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    held = one.num_held
    assert torch.equal(one.tokens_CT[:held], other.tokens_CT[:held])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_whole_snapshot_and_its_changes_restore_to_equal_bits_and_equal_draws(
    policy: str,
) -> None:
    memory = made(policy)
    snapshots = []
    use(memory, range(4))
    snapshots.append(kept(memory.snapshot(whole=True)))
    for first in (4, 9, 10, 30):
        use(memory, range(first, first + 5))
        snapshots.append(kept(memory.snapshot(whole=False)))
    restored = made(policy)
    use(restored, range(50, 60))
    restored.restore(snapshots)
    assert_equal(memory, restored)
    for each in (memory, restored):
        use(each, range(70, 80))
    assert_equal(memory, restored)
    ours, theirs = (m.sample(9, random_for(3, 3, "x")) for m in (memory, restored))
    assert ours.examples == theirs.examples
    assert ours.slots.tolist() == theirs.slots.tolist()


def test_changes_cost_what_changed_and_not_what_is_held() -> None:
    memory = Memory(3907, 256)
    random = random_for(0, 0, "test")
    block = Example(list(range(256)), 1)
    memory.add([block] * 3907, "s", random)
    whole = sum(t.nbytes for t in memory.snapshot(whole=True).tensors.values())
    assert whole > 4_000_000
    assert sum(t.nbytes for t in memory.snapshot(whole=False).tensors.values()) == 0
    placed = memory.add([block] * 16, "s", random)
    changes = sum(t.nbytes for t in memory.snapshot(whole=False).tensors.values())
    assert changes == len(placed.slots) * (256 * 4 + 4 * 4 + 8)


def test_restoring_into_another_memory_is_refused_and_changes_nothing() -> None:
    memory = made()
    use(memory, range(3))
    whole = kept(memory.snapshot(whole=True))
    for other in (made(capacity=41), made("balanced"), Memory(40, 12)):
        use_before = other.snapshot(whole=True).facts
        with pytest.raises(CheckpointError, match="memory has"):
            other.restore([whole])
        assert other.snapshot(whole=True).facts == use_before
    use(memory, range(3, 4))
    with pytest.raises(CheckpointError, match="begins with a whole"):
        made().restore([memory.snapshot(whole=False)])


def test_what_was_stored_comes_back_with_its_example_and_goes_with_it() -> None:
    memory = Memory(2, 6, extras={"ids": Extra(1, torch.int32)})
    long, short = Example([1, 2, 3, 4, 5, 6], 2), Example([7, 8], 0, follows_prefix=True)
    slots = memory.add([long, short], "s", random_for(0, 0, "add")).slots
    assert not memory.has(slots, "ids").any()
    memory.store(slots, "ids", torch.tensor([[i] for i in range(10, 16)]))
    assert memory.has(slots, "ids").all()
    turned = slots[::-1].copy()
    assert memory.stored(turned, "ids").flatten().tolist() == [14, 15, 10, 11, 12, 13]
    for step in range(20):
        placed = memory.add([Example([9, 9], 1)], "s", random_for(step, 0, "add"))
        if len(placed.slots):
            assert not memory.has(placed.slots, "ids").any()
            return
    raise AssertionError("a full reservoir of two takes one of twenty")


def test_a_mapped_memory_is_sparse_equal_to_one_on_the_host_and_leaves_no_file(
    tmp_path: Path,
) -> None:
    mapped = Memory(40, 12, extras=EXTRAS, place=Place("mapped", directory=tmp_path / "memory"))
    plain = made()
    for memory in (mapped, plain):
        use(memory, range(30))
    assert_equal(mapped, plain)
    assert list((tmp_path / "memory").iterdir()) == []
    sparse = Place("mapped", directory=tmp_path).zeros((1_000_000, 256), torch.int32)
    assert sparse[999_999].sum() == 0


def test_a_place_on_the_device_is_equal_too() -> None:
    there, plain = made(place="device"), made()
    for memory in (there, plain):
        use(memory, range(20))
    assert_equal(there, plain)


def test_a_place_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"learner.memory_place: 'disk'.*auto, memory, mapped"):
        made(place="disk")
    with pytest.raises(InvalidValue, match="with a directory"):
        made(place="mapped")
    assert np.prod(Place("auto").zeros((2, 3), torch.int32).shape) == 6
