"""Learning goes on while a checkpoint is written: it waits for the copy only."""

import contextlib
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

import torch

from learner.checkpoint import Checkpoints
from learner.state_parts import Tensors
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import learn

IDENTITY = fakes.identity()


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
