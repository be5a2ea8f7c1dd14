"""A checkpoint is all of the state or none of it."""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from learner.checkpoint import Checkpoints
from learner.identity import FORMAT, settle
from learner.state import State
from riverrun.errors import CheckpointError
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE

IDENTITY = fakes.identity()


def learn(tokenizer: Tokenizer, state: State, first: int, last: int) -> State:
    """Steps `first` to `last`: two in three on new text."""
    stepper = fakes.stepper(tokenizer)
    for i in range(first, last + 1):
        is_new = i % 3 or not len(state.rehearsal)
        assert stepper.step(state, [fakes.arrival(i)] if is_new else []) is not None
    return state


def test_what_is_restored_is_bit_for_bit_what_was_written(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = learn(tokenizer, fakes.state(), 1, 25)
    Checkpoints(tmp_path, 2).write(state, IDENTITY)
    restored = fakes.state()
    assert Checkpoints(tmp_path, 2).restore_newest(restored, IDENTITY)
    assert fakes.bits(restored) == fakes.bits(state)


def test_a_restored_run_goes_on_as_the_uninterrupted_one(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    whole = learn(tokenizer, fakes.state(), 1, 30)
    Checkpoints(tmp_path, 2).write(learn(tokenizer, fakes.state(), 1, 17), IDENTITY)
    restored = fakes.state()
    Checkpoints(tmp_path, 2).restore_newest(restored, IDENTITY)
    assert fakes.bits(learn(tokenizer, restored, 18, 30)) == fakes.bits(whole)


def test_a_restored_memory_forgets_what_it_held_before(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    Checkpoints(tmp_path, 2).write(learn(tokenizer, fakes.state(), 1, 2), IDENTITY)
    state = learn(tokenizer, fakes.state(), 1, 20)
    Checkpoints(tmp_path, 2).restore_newest(state, IDENTITY)
    other = fakes.state()
    Checkpoints(tmp_path, 2).restore_newest(other, IDENTITY)
    assert fakes.bits(learn(tokenizer, state, 3, 20)) == fakes.bits(learn(tokenizer, other, 3, 20))


def two_checkpoints(directory: Path, tokenizer: Tokenizer) -> tuple[Checkpoints, State]:
    """Checkpoints of steps 3 and 5, and the state of step 3."""
    checkpoints = Checkpoints(directory, 2)
    state = learn(tokenizer, fakes.state(), 1, 3)
    checkpoints.write(state, IDENTITY)
    checkpoints.write(learn(tokenizer, learn(tokenizer, fakes.state(), 1, 3), 4, 5), IDENTITY)
    return checkpoints, state


@pytest.mark.parametrize("file", ["weights.safetensors", "memory.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["torn", "changed", "gone"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    tmp_path: Path,
    tokenizer: Tokenizer,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: str,
) -> None:
    checkpoints, before = two_checkpoints(tmp_path, tokenizer)
    path = tmp_path / "0000000005" / file
    data = path.read_bytes()
    match damage:
        case "torn":
            path.write_bytes(data[: len(data) // 2])
        case "changed":
            path.write_bytes(data[:-2] + b"\x01" + data[-1:])
        case _:
            path.unlink()
    state = fakes.state()
    with caplog.at_level(logging.ERROR):
        assert checkpoints.restore_newest(state, IDENTITY)
    assert "checkpoint 5 cannot be used" in caplog.text
    assert fakes.bits(state) == fakes.bits(before)
    assert checkpoints.steps() == [3]
    assert [p.name[:18] for p in tmp_path.glob("damaged-*")] == ["damaged-0000000005"]


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    state = fakes.state()
    for step in range(1, 6):
        checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
    assert checkpoints.steps() == [4, 5]


def test_a_full_disk_leaves_the_older_checkpoint_and_nothing_half(
    tmp_path: Path, tokenizer: Tokenizer, full_disk: Callable[[int], None]
) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    state = learn(tokenizer, fakes.state(), 1, 3)
    checkpoints.write(state, IDENTITY)
    full_disk(20_000)
    learn(tokenizer, state, 4, 5)
    with pytest.raises(CheckpointError, match="could not be written"):
        checkpoints.write(state, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["0000000003"]
    full_disk(1 << 30)
    checkpoints.write(state, IDENTITY)
    assert checkpoints.steps() == [5]


def test_a_killed_writers_half_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / ".partial-abc" / "weights.safetensors").write_bytes(b"half")
    assert Checkpoints(tmp_path, 2).steps() == []
    assert list(tmp_path.iterdir()) == []


def test_without_checkpoints_the_state_stays_untouched(tmp_path: Path) -> None:
    state = fakes.state()
    assert not Checkpoints(tmp_path, 2).restore_newest(state, IDENTITY)
    assert fakes.bits(state) == fakes.bits(fakes.state())


def test_the_first_start_settles_the_identity(tmp_path: Path) -> None:
    assert settle(tmp_path, IDENTITY) == IDENTITY
    again = msgspec.structs.replace(IDENTITY, run="ffff")
    assert settle(tmp_path, again).run == IDENTITY.run


def test_other_settings_are_refused_with_both_values(tmp_path: Path) -> None:
    settle(tmp_path, IDENTITY)
    recipe = msgspec.structs.replace(RECIPE, lr=0.25)
    asked = msgspec.structs.replace(IDENTITY, recipe=recipe, model="other", seed=9)
    with pytest.raises(CheckpointError) as refused:
        settle(tmp_path, asked)
    message = str(refused.value)
    assert "model is 'small' there, 'other' was asked for" in message
    assert "learner.seed is 7 there, 9 was asked for" in message
    assert f"learner.lr is {RECIPE.lr} there, 0.25 was asked for" in message
    assert "--data-dir" in message


def test_another_format_is_refused(tmp_path: Path) -> None:
    settle(tmp_path, msgspec.structs.replace(IDENTITY, format=FORMAT + 1))
    with pytest.raises(CheckpointError, match=f"format {FORMAT + 1}"):
        settle(tmp_path, IDENTITY)
