"""Checkpoint and journal together give the same bits as a run that was never interrupted."""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from prometheus_client import CollectorRegistry

from learner.arrival import ranges_of
from learner.checkpoint import Checkpoints
from learner.journal import Journal, Learned, Published, Started
from learner.machine import this_machine
from learner.publish import hash_of_published, note
from learner.resume import enter, replay, restore
from learner.state import State
from riverrun.errors import CheckpointError
from riverrun.metrics import LearnerMetrics
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

IDENTITY = fakes.identity()
ARRIVALS = [fakes.arrival(i, partition=p) for i in range(20) for p in range(2)]

Open = Callable[[Path], Journal]


class Run:
    """A learner without Kafka or a store: steps, journal, versions by hash, checkpoints."""

    def __init__(self, directory: Path, tokenizer: Tokenizer, open_journal: Open) -> None:
        self.state = fakes.state()
        self.stepper = fakes.stepper(tokenizer)
        self.journal = open_journal(directory / "journal")
        self.checkpoints = Checkpoints(directory / "checkpoints", 2)

    def learn(self, last: int, *, checkpoints_after: tuple[int, ...] = ()) -> State:
        for step in range(self.state.progress.step + 1, last + 1):
            arrivals = [] if step % 4 == 0 else ARRIVALS[2 * step : 2 * step + 3]
            arrivals = [
                a for a in arrivals if a.raw_offset > self.state.progress.marks.get(a.partition, -1)
            ]
            assert self.stepper.step(self.state, arrivals) is not None
            self.journal.append(Learned(step, ranges_of(arrivals)))
            if step % 5 == 0:
                sha256 = hash_of_published(self.state, IDENTITY.recipe)
                self.journal.append(published := Published(step, f"v{step}", sha256))
                note(self.state, published)
            if step in checkpoints_after:
                self.journal.begin_file(step)
                self.checkpoints.write(self.state, IDENTITY)
        return self.state

    def resume(self) -> LearnerMetrics:
        metrics = LearnerMetrics(CollectorRegistry())
        restore(self.state, self.checkpoints, self.journal, IDENTITY)
        refetch = fakes.refetch_from(ARRIVALS)
        assert replay(self.state, self.journal, refetch, self.stepper, IDENTITY, metrics)
        return metrics


@pytest.mark.parametrize("checkpoints_after", [(), (7,), (3, 11), (5, 12)])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(
    tmp_path: Path,
    tokenizer: Tokenizer,
    open_journal: Open,
    caplog: pytest.LogCaptureFixture,
    checkpoints_after: tuple[int, ...],
) -> None:
    whole = Run(tmp_path / "whole", tokenizer, open_journal).learn(16)
    killed = Run(tmp_path / "killed", tokenizer, open_journal)
    killed.learn(12, checkpoints_after=checkpoints_after)
    resumed = Run(tmp_path / "killed", tokenizer, open_journal)
    with caplog.at_level(logging.WARNING):
        metrics = resumed.resume()
    assert caplog.text == ""
    replayed = metrics.replayed_steps.collect()[0].samples[0].value
    assert replayed == 12 - max(checkpoints_after, default=0)
    assert fakes.bits(resumed.state) == fakes.bits(killed.state)
    assert fakes.bits(resumed.learn(16)) == fakes.bits(whole)


def test_a_journal_that_lost_its_last_file_goes_on_from_the_checkpoint(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open
) -> None:
    killed = Run(tmp_path, tokenizer, open_journal)
    killed.learn(9)
    killed.checkpoints.write(killed.state, IDENTITY)
    resumed = Run(tmp_path, tokenizer, open_journal)
    resumed.resume()
    resumed.learn(12)
    again = Run(tmp_path, tokenizer, open_journal)
    again.resume()
    assert fakes.bits(again.state) == fakes.bits(resumed.state)


def test_the_journal_reaches_back_behind_a_damaged_checkpoint(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open
) -> None:
    killed = Run(tmp_path, tokenizer, open_journal)
    killed.learn(12, checkpoints_after=(4, 9))
    [file] = (tmp_path / "checkpoints" / "0000000009").glob("weights-*")
    file.write_bytes(b"damaged")
    resumed = Run(tmp_path, tokenizer, open_journal)
    resumed.resume()
    assert fakes.bits(resumed.state) == fakes.bits(killed.state)


def test_other_bits_than_those_published_are_named(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open, caplog: pytest.LogCaptureFixture
) -> None:
    killed = Run(tmp_path, tokenizer, open_journal)
    killed.learn(3)
    killed.journal.append(Published(3, "v3", "another processor's hash"))
    with caplog.at_level(logging.WARNING):
        Run(tmp_path, tokenizer, open_journal).resume()
    assert "not bit for bit those of v3" in caplog.text


def test_where_identical_bits_are_asked_for_others_are_refused_with_what_differs(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open
) -> None:
    killed = Run(tmp_path, tokenizer, open_journal)
    here = this_machine(torch.device("cpu"))
    killed.journal.append(Started(msgspec.structs.replace(here, num_threads=64)))
    killed.learn(3)
    killed.journal.append(Published(3, "v3", "another thread count's hash"))
    resumed = Run(tmp_path, tokenizer, open_journal)
    metrics = LearnerMetrics(CollectorRegistry())
    with pytest.raises(CheckpointError, match="num_threads was 64 there and is 1 here"):
        replay(
            resumed.state,
            resumed.journal,
            fakes.refetch_from(ARRIVALS),
            resumed.stepper,
            IDENTITY,
            metrics,
            must_be_identical=True,
        )


def test_a_replay_that_is_stopped_says_so(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open
) -> None:
    Run(tmp_path, tokenizer, open_journal).learn(5)
    resumed = Run(tmp_path, tokenizer, open_journal)
    metrics = LearnerMetrics(CollectorRegistry())
    refetch = fakes.refetch_from(ARRIVALS)
    assert not replay(
        resumed.state, resumed.journal, refetch, resumed.stepper, IDENTITY, metrics, lambda: True
    )
    assert fakes.bits(resumed.state) == fakes.bits(fakes.state())


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_where_a_quiet_partition_begins_is_asked_once_and_never_again(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open, *, has_checkpoint: bool
) -> None:
    """Text that came to it and expired before anything of it was learned is missed then."""
    killed = Run(tmp_path, tokenizer, open_journal)
    enter(killed.state, killed.journal, range(3), lambda _: {0: 0, 1: 0, 2: 7})
    killed.learn(3, checkpoints_after=(2,) if has_checkpoint else ())
    resumed = Run(tmp_path, tokenizer, open_journal)
    resumed.resume()
    enter(resumed.state, resumed.journal, range(3), lambda _: pytest.fail("asked again"))
    assert resumed.state.progress.next_clean[2] == 7
    assert fakes.bits(resumed.state) == fakes.bits(killed.state)


def test_of_a_partition_that_is_new_to_a_run_nothing_is_passed_over(
    tmp_path: Path, tokenizer: Tokenizer, open_journal: Open
) -> None:
    run = Run(tmp_path, tokenizer, open_journal)
    enter(run.state, run.journal, range(2), lambda _: {0: 3, 1: 0})
    run.journal.close()
    again = Run(tmp_path, tokenizer, open_journal)
    again.resume()
    enter(again.state, again.journal, range(3), lambda _: {2: 9})
    assert again.state.progress.next_clean == {0: 3, 1: 0, 2: 0}
