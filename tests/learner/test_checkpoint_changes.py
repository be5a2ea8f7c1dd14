"""Changes instead of the whole: a checkpoint links what it shares with the one before the last."""

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


def test_changes_are_written_beside_what_they_change(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    state = learn(tokenizer, fakes.state(), 1, 16)
    checkpoints.write(state, IDENTITY)
    checkpoints.write(learn(tokenizer, state, 17, 17), IDENTITY)
    for part in ("memory", "rehearsal"):
        whole, changes = pieces(tmp_path, 17, part)
        assert (whole.is_whole, changes.is_whole) == (True, False)
        assert whole == pieces(tmp_path, 16, part)[0]
    assert [piece.is_whole for piece in pieces(tmp_path, 17, "weights")] == [True]


def test_the_newest_two_share_nothing_on_the_disk_and_every_second_one_shares_all(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoints = Checkpoints(tmp_path, 3)
    state = learn(tokenizer, fakes.state(), 1, 16)
    for step in range(17, 22):
        checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
        files = [set(path.iterdir()) for path in sorted(tmp_path.iterdir())]
        inodes = [{file.stat().st_ino for file in of_one} for of_one in files]
        assert step == 17 or not inodes[-1] & inodes[-2]
    rested_on = pieces(tmp_path, 19, "memory")
    assert len(rested_on) > 1
    for piece in rested_on:
        of_two = [tmp_path / f"{step:010d}" / piece.file for step in (19, 21)]
        assert of_two[0].stat().st_ino == of_two[1].stat().st_ino


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


@pytest.mark.parametrize("part", ["memory", "rehearsal"])
@pytest.mark.parametrize("last", [2, 3, 7, 18, 19])
def test_a_damaged_file_that_changes_rest_on_leaves_the_checkpoint_before(
    tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, part: str, last: int
) -> None:
    """It has as many names as there are checkpoints that rest on it."""
    checkpoints = Checkpoints(tmp_path, 3)
    state = fakes.state()
    for step in range(1, last + 1):
        checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
    for piece in pieces(tmp_path, last, part):
        with (tmp_path / f"{last:010d}" / piece.file).open("r+b") as file:
            file.seek(piece.num_bytes // 2)
            file.write(b"damaged")
    restored = fakes.state()
    head = Checkpoints(tmp_path, 3).restore_newest(restored, IDENTITY)
    assert head is not None
    assert head.step == last - 1
    assert fakes.bits(restored) == fakes.bits(learn(tokenizer, fakes.state(), 1, last - 1))
    assert f"checkpoint {last} cannot be used" in caplog.text


def test_a_damaged_file_is_not_copied_and_the_next_checkpoint_is_whole(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    state = learn(tokenizer, fakes.state(), 1, 16)
    checkpoints.write(state, IDENTITY)
    (tmp_path / "0000000016" / pieces(tmp_path, 16, "memory")[0].file).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"memory-0000000016.* is not what was written"):
        checkpoints.write(learn(tokenizer, state, 17, 17), IDENTITY)
    checkpoints.write(learn(tokenizer, state, 18, 18), IDENTITY)
    assert [piece.is_whole for piece in pieces(tmp_path, 18, "memory")] == [True]


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
