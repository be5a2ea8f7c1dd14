"""A checkpoint is all of the state or none of it."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from learner.checkpoint import Checkpoints
from learner.pace import Pace
from learner.state import State
from riverrun.errors import CheckpointError, LeaseLost
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE, learn

IDENTITY = fakes.identity()


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


FILES = [f"{name}-0000000005.safetensors" for name in fakes.state().parts]


@pytest.mark.parametrize("file", [*FILES, "checkpoint.json"])
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
            path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        case _:
            path.unlink()
    state = fakes.state()
    with caplog.at_level(logging.ERROR):
        assert checkpoints.restore_newest(state, IDENTITY)
    assert "checkpoint 5 cannot be used" in caplog.text
    assert fakes.bits(state) == fakes.bits(before)
    assert checkpoints.steps() == [3]
    assert [p.name[:18] for p in tmp_path.glob("damaged-*")] == ["damaged-0000000005"]


def test_a_part_that_the_state_does_not_have_is_named_and_nothing_is_set_aside(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = learn(tokenizer, fakes.state(), 1, 3)
    state.add_part("detectors", Pace(1.0, 2))
    Checkpoints(tmp_path, 2).write(state, IDENTITY)
    with pytest.raises(CheckpointError, match="has a part 'detectors' that this learner does not"):
        Checkpoints(tmp_path, 2).restore_newest(fakes.state(), IDENTITY)
    richer = fakes.state()
    richer.add_part("detectors", Pace(1.0, 2))
    richer.add_part("lookout", Pace(1.0, 2))
    with pytest.raises(CheckpointError, match="has no part 'lookout'"):
        Checkpoints(tmp_path, 2).restore_newest(richer, IDENTITY)
    assert Checkpoints(tmp_path, 2).steps() == [3]


def test_another_runs_checkpoint_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    Checkpoints(tmp_path, 2).write(learn(tokenizer, fakes.state(), 1, 2), IDENTITY)
    other = msgspec.structs.replace(IDENTITY, run="ffff")
    with pytest.raises(CheckpointError, match="is of run ab12, not of ffff"):
        Checkpoints(tmp_path, 2).restore_newest(fakes.state(), other)


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path, tokenizer: Tokenizer) -> None:
    Checkpoints(tmp_path, 2).write(learn(tokenizer, fakes.state(), 1, 2), IDENTITY)
    wider = msgspec.structs.replace(fakes.SMALL, intermediate_size=128)
    model = Decoder(wider)
    model.initialise(torch.Generator().manual_seed(1))
    with pytest.raises(
        CheckpointError, match=r"part 'weights': .*mlp.* has shape \(.*64.*\) there"
    ):
        Checkpoints(tmp_path, 2).restore_newest(State(model, RECIPE), IDENTITY)


def test_a_learner_without_its_lease_writes_no_checkpoint(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    @contextlib.contextmanager
    def lost() -> Iterator[None]:
        raise LeaseLost("another learner has it")
        yield

    checkpoints = Checkpoints(tmp_path, 2, guard=lost)
    with pytest.raises(LeaseLost):
        checkpoints.write(learn(tokenizer, fakes.state(), 1, 2), IDENTITY)
    assert list(tmp_path.iterdir()) == []


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
