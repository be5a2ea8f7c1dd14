"""Changes instead of the whole: a checkpoint links what it shares with the one before."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from learner.checkpoint import MOST_CHANGES, Checkpoints
from learner.checkpoint_file import read_head
from learner.snapshots import Piece
from riverrun.errors import CheckpointError
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import learn

IDENTITY = fakes.identity()


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
