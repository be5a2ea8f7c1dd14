"""A kill between any two changes of files while a checkpoint is written, and nothing is lost."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from learner.arrival import ranges_of
from learner.checkpoint import Checkpoints
from learner.journal import Journal, Learned
from learner.resume import replay, restore
from learner.state import State
from riverrun.metrics import LearnerMetrics
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.killing import killed

IDENTITY = fakes.identity()
STRIDE = 1 if "TEST_KILLS" in os.environ else 3
"""A third of the places, unless the full test is asked for."""
ARRIVALS = [fakes.arrival(i) for i in range(1, 10)]


def learn(tokenizer: Tokenizer, state: State, journal: Journal | None, last: int) -> State:
    stepper = fakes.stepper(tokenizer)
    for step in range(state.progress.step + 1, last + 1):
        arrivals = [ARRIVALS[step - 1]]
        assert stepper.step(state, arrivals) is not None
        if journal is not None:
            journal.append(Learned(step, ranges_of(arrivals)))
    return state


def checkpointed(directory: Path, state: State, journal: Journal, checkpoints: Checkpoints) -> None:
    """What the loop does for one checkpoint, with nothing else between."""
    journal.begin_file(state.progress.step)
    written = checkpoints.write(state, IDENTITY)
    if written is not None and written.num_pruned:
        journal.forget_before(written.oldest)


def killed_child(directory: Path, tokenizer: Tokenizer, number: int) -> bool:
    """Write two checkpoints, killed just before change `number` of a file; False if it ended."""

    def work(count: Callable[[], None]) -> None:
        journal = Journal(directory / "journal")
        checkpoints = Checkpoints(directory / "checkpoints", 1)
        state = fakes.state()
        count()
        for last in (3, 6):
            learn(tokenizer, state, journal, last)
            checkpointed(directory, state, journal, checkpoints)

    return killed(work, number, str(directory))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_between_any_two_changes_of_files_loses_nothing(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    whole = [fakes.bits(learn(tokenizer, fakes.state(), None, last)) for last in range(10)]
    number, is_killed, reached = 0, True, set()
    while is_killed:
        number += STRIDE
        directory = tmp_path / str(number)
        is_killed = killed_child(directory, tokenizer, number)
        journal = Journal(directory / "journal")
        checkpoints = Checkpoints(directory / "checkpoints", 1)
        state = fakes.state()
        restore(state, checkpoints, journal, IDENTITY)
        metrics = LearnerMetrics(CollectorRegistry())
        stepper = fakes.stepper(tokenizer)
        assert replay(state, journal, fakes.refetch_from(ARRIVALS), stepper, IDENTITY, metrics)
        step = state.progress.step
        reached.add(step)
        assert fakes.bits(state) == whole[step]
        assert not list(directory.rglob("damaged-*"))
        # And on, with a checkpoint over what the kill has left.
        learn(tokenizer, state, journal, 9)
        checkpointed(directory, state, journal, checkpoints)
        assert fakes.bits(state) == whole[9]
        assert checkpoints.steps() == [9]
        assert not list((directory / "checkpoints").glob(".partial-*"))
        journal.close()
        checkpoints.close()
        shutil.rmtree(directory)
    assert number > 30, "as many changes as two checkpoints make"
    assert {3, 6} <= reached
