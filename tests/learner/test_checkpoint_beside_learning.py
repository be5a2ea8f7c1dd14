"""Learning goes on while a checkpoint is written: it waits for the copy only."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import torch
from prometheus_client import Histogram

from learner.checkpoint import Checkpoints
from learner.state_parts import Tensors
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import learn
from tests.learner.gate.river import River

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


def test_learning_waits_for_the_copy_and_not_for_the_write(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """200 MB of the loop's own checkpoints, the journal's file included: the median of five.

    Under a tenth of the write (a twenty-fifth is what is measured) or, where memory is slow beside
    the disk, under a quarter of it and no longer than copying as much takes, measured between the
    writes, and half as long again. Others on the machine only add to it, so three rounds may be
    needed.
    """
    with River(tmp_path, tokenizer, fakes.RECIPE) as river:
        large = [torch.rand(1 << 20) for _ in range(50)]
        copies = [torch.zeros(1 << 20) for _ in large]
        river.state.add_part("large", Tensors({str(i): one for i, one in enumerate(large)}))
        river.checkpoints._keep = 1
        rounds: list[tuple[float, float, float]] = []
        while len(rounds) < 3 and not (rounds and waits_for_the_copy(*rounds[-1])):
            measured = [(*one_checkpoint(river), copying_s(large, copies)) for _ in range(5)]
            waited_s, took_s, copied_s = map(statistics.median, zip(*measured, strict=True))
            rounds.append((waited_s, took_s, copied_s))
    assert waits_for_the_copy(*rounds[-1]), rounds


def waits_for_the_copy(waited_s: float, took_s: float, copied_s: float) -> bool:
    return waited_s < 0.1 * took_s or waited_s < min(1.5 * copied_s, 0.25 * took_s)


def copying_s(sources: list[torch.Tensor], copies: list[torch.Tensor]) -> float:
    began = time.perf_counter()
    for source, copy in zip(sources, copies, strict=True):
        copy.copy_(source)
    return time.perf_counter() - began


def one_checkpoint(river: River) -> tuple[float, float]:
    """After one more step: what the metrics say that learning waited, and that the write took."""
    river.intake.put([fakes.arrival(river.state.progress.step)])
    river.loop.turn()
    wait([reserving] if (reserving := river.checkpoints._reserving) else [])
    waited_s = total(river.metrics.checkpoint_wait_seconds)
    took_s = total(river.metrics.checkpoint_seconds)
    began = time.perf_counter()
    river.loop._checkpoint()
    stood_s = time.perf_counter() - began
    waited_s = total(river.metrics.checkpoint_wait_seconds) - waited_s
    assert waited_s > 0.5 * stood_s, "all that it stood still is counted"
    river.loop._checkpoint_written(wait=True)
    assert river.checkpoints.steps() == [river.state.progress.step]
    return waited_s, total(river.metrics.checkpoint_seconds) - took_s


def total(histogram: Histogram) -> float:
    """Of all that it was told."""
    [found] = [s.value for m in histogram.collect() for s in m.samples if s.name.endswith("_sum")]
    return found


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
