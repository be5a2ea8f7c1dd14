"""A checkpoint is all of the state or none of it."""

import contextlib
import errno
import logging
import os
import statistics
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from learner.checkpoint import MOST_CHANGES, Checkpoints
from learner.checkpoint_file import read_head
from learner.identity import FORMAT, settle
from learner.pace import Pace
from learner.snapshots import Piece
from learner.state import State
from learner.state_parts import Tensors
from riverrun.errors import CheckpointError, LeaseLost
from riverrun.model.decoder import Decoder
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


# Changes instead of the whole


def pieces(directory: Path, step: int, part: str) -> list[Piece]:
    return read_head(directory / f"{step:010d}" / "checkpoint.json").parts[part]


def test_changes_are_written_beside_links_to_what_they_change(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    state = learn(tokenizer, fakes.state(), 1, 16)
    checkpoints.write(state, IDENTITY)
    checkpoints.write(learn(tokenizer, state, 17, 17), IDENTITY)
    for part in ("memory", "rehearsal"):
        whole, changes = pieces(tmp_path, 17, part)
        assert (whole.is_whole, changes.is_whole) == (True, False)
        assert whole == pieces(tmp_path, 16, part)[0]
        files = [tmp_path / f"{step:010d}" / whole.file for step in (16, 17)]
        assert files[0].stat().st_ino == files[1].stat().st_ino
    assert [piece.is_whole for piece in pieces(tmp_path, 17, "weights")] == [True]


def test_a_chain_of_changes_restores_as_the_whole_and_ends_in_time(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoints = Checkpoints(tmp_path, 1)
    state = fakes.state()
    lengths = []
    for step in range(1, 30):
        checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
        if step % 7 == 0:
            restored = fakes.state()
            Checkpoints(tmp_path, 1).restore_newest(restored, IDENTITY)
            # Not `bits(state)`: asking for it whole would end the chain of changes.
            assert fakes.bits(restored) == fakes.bits(learn(tokenizer, fakes.state(), 1, step))
        lengths.append(len(pieces(tmp_path, step, "rehearsal")))
    assert max(lengths) > 2
    assert max(lengths) <= MOST_CHANGES + 1
    assert lengths.count(1) > 1, "a chain that outweighs its base begins anew"


def test_after_a_write_that_failed_the_next_one_is_whole(
    tmp_path: Path, tokenizer: Tokenizer, full_disk: Callable[[int], None]
) -> None:
    checkpoints = Checkpoints(tmp_path, 3)
    state = learn(tokenizer, fakes.state(), 1, 16)
    checkpoints.write(state, IDENTITY)
    full_disk(20_000)
    with pytest.raises(CheckpointError, match="could not be written"):
        checkpoints.write(learn(tokenizer, state, 17, 17), IDENTITY)
    full_disk(1 << 30)
    checkpoints.write(learn(tokenizer, state, 18, 18), IDENTITY)
    assert [piece.is_whole for piece in pieces(tmp_path, 18, "memory")] == [True]
    restored = fakes.state()
    Checkpoints(tmp_path, 3).restore_newest(restored, IDENTITY)
    assert fakes.bits(restored) == fakes.bits(state)


def test_where_links_are_not_to_be_had_files_are_copied(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "this file system has no links")

    monkeypatch.setattr(os, "link", no_links)
    checkpoints = Checkpoints(tmp_path, 1)
    state = learn(tokenizer, fakes.state(), 1, 16)
    checkpoints.write(state, IDENTITY)
    checkpoints.write(learn(tokenizer, state, 17, 17), IDENTITY)
    assert len(pieces(tmp_path, 17, "memory")) == 2
    restored = fakes.state()
    Checkpoints(tmp_path, 1).restore_newest(restored, IDENTITY)
    assert fakes.bits(restored) == fakes.bits(state)


# Beside learning


def test_what_is_learned_while_it_is_written_is_not_in_it(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """The writer is held at its rename; steps go on meanwhile."""
    may_rename = threading.Event()

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        assert may_rename.wait(30)
        yield

    checkpoints = Checkpoints(tmp_path, 2, guard=held)
    state = learn(tokenizer, fakes.state(), 1, 7)
    assert checkpoints.begin(state, IDENTITY)
    learn(tokenizer, state, 8, 12)
    assert checkpoints.is_writing
    assert checkpoints.finished() is None
    assert checkpoints.steps() == []
    may_rename.set()
    written = checkpoints.finished(wait=True)
    assert written is not None
    assert written.step == 7
    assert not checkpoints.is_writing
    restored = fakes.state()
    Checkpoints(tmp_path, 2).restore_newest(restored, IDENTITY)
    assert fakes.bits(restored) == fakes.bits(learn(tokenizer, fakes.state(), 1, 7))


def test_learning_waits_under_a_tenth_of_the_write(tmp_path: Path) -> None:
    """48 MB on the disk of this machine. What others do here only adds: of the waits, the least."""
    state = fakes.state()
    state.add_part("large", Tensors({str(i): torch.ones(1 << 20) for i in range(12)}))
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.reserve(state)
    written = []
    for step in range(1, 7):
        state.progress.step = step
        written.append(checkpoints.write(state, IDENTITY))
    waited_s = min(one.waited_s for one in written if one)
    took_s = statistics.median(one.took_s for one in written if one)
    assert waited_s < 0.1 * took_s
    checkpoints.close()


def test_memory_that_was_reserved_is_what_copies_are_made_in(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = learn(tokenizer, fakes.state(), 1, 3)
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.reserve(state)
    checkpoints.close()
    before = checkpoints.copies_bytes
    assert before > sum(p.numel() * p.element_size() for p in state.model.parameters()) * 3
    again = Checkpoints(tmp_path, 1)
    again.reserve(state)
    again.write(state, IDENTITY)
    assert again.copies_bytes == before
    restored = fakes.state()
    again.restore_newest(restored, IDENTITY)
    assert fakes.bits(restored) == fakes.bits(state)


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


def test_the_ladder_keeps_older_ones(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints = Checkpoints(tmp_path, 1, ladder_s=(1e9,))
    state = fakes.state()
    for step in range(1, 5):
        written = checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
    assert checkpoints.steps() == [1, 4]
    assert written is not None
    assert (written.oldest, written.num_pruned) == (1, 1)


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
