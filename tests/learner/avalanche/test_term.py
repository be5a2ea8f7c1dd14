"""A plugin's state is the learner's: kept, restored, bounded, and refused before the first step."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from learner.avalanche.names import KNOWN, MOST_EXPERIENCES, asked
from learner.part import Snapshot
from riverrun.errors import CheckpointError, InvalidValue
from tests.learner import fakes
from tests.learner.avalanche.runs import Start


def kept(snapshot: Snapshot) -> Snapshot:
    return snapshot._replace(tensors={n: t.clone() for n, t in snapshot.tensors.items()})


@pytest.mark.parametrize("plugin", [*KNOWN, "EWC:mode=separate"])
def test_a_restarted_run_has_the_bits_of_one_that_was_never_stopped(
    start: Start, plugin: str
) -> None:
    """Stopped within an experience, after its first and after its second one."""
    whole = start(plugin)
    stopped = start(plugin)
    whole.go(1, 9)
    expected = whole.hash()
    done = 0
    for last in (2, 5, 8):
        stopped.go(done + 1, last)
        done = last
        snapshots = {n: kept(p.snapshot(whole=True)) for n, p in stopped.state.parts.items()}
        stopped = start(plugin)
        for name, part in stopped.state.parts.items():
            part.restore([snapshots[name]])
        again = stopped.state.parts["strategy"].snapshot(whole=True)
        assert again.facts == snapshots["strategy"].facts
    stopped.go(9, 9)
    assert stopped.hash() == expected


def test_what_is_drawn_for_a_plugin_follows_from_the_runs_seed(start: Start) -> None:
    def drawn(seed: int) -> tuple[object, ...]:
        run = start("EWC")
        arrivals = [fakes.arrival(number) for number in range(30)]
        lesson = run.stepper._planner.plan(run.state, arrivals, 1)
        assert lesson.seed == 7
        lesson = lesson._replace(seed=seed)
        with run.term._seeded(lesson):
            numbers = random.random(), np.random.random(), torch.rand(3).tolist()
        run.term.after_update(run.state, lesson)
        sample = run.term.sample.examples(np.arange(len(run.term.sample)))
        return *numbers, [list(example.tokens) for example in sample]

    assert drawn(7) == drawn(7)
    assert all(one != other for one, other in zip(drawn(7), drawn(8), strict=True))


def test_a_step_that_was_given_up_leaves_no_trace(start: Start) -> None:
    whole, interrupted = start("AGEM"), start("AGEM")
    whole.go(1, 8)
    interrupted.go(1, 5)
    arrivals = [fakes.arrival(12), fakes.arrival(13)]
    given_up = interrupted.stepper.step(interrupted.state, arrivals, is_stopping=lambda: True)
    assert given_up is None
    interrupted.go(6, 8)
    assert interrupted.hash() == whole.hash()


def test_global_generators_are_left_as_they_were(start: Start) -> None:
    run = start("AGEM")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run.go(1, 7)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_change_of_source_ends_an_experience_when_it_is_asked_to(start: Start) -> None:
    run = start("EWC", experience_by="source")

    def step(number: int, source: int) -> None:
        # `arrival` names its source after the parity of its number.
        run.stepper.step(run.state, [fakes.arrival(2 * number + source)])

    def experiences() -> int:
        assert run.term.agent is not None
        return int(run.term.agent.clock.train_exp_counter)

    step(1, 0)
    step(2, 0)
    assert experiences() == 0
    step(3, 1)
    assert experiences() == 1
    step(4, 0)
    assert experiences() == 2


def test_a_plugin_that_grows_stops_at_the_most_experiences(start: Start) -> None:
    growing, other = (start(name, experience_steps=1) for name in ("AGEM", "EWC"))
    for run in (growing, other):
        run.go(1, MOST_EXPERIENCES + 4)
    assert growing.term.agent is not None
    assert other.term.agent is not None
    assert growing.term.agent.clock.train_exp_counter == MOST_EXPERIENCES
    assert len(growing.term.plugin.buffers) == MOST_EXPERIENCES
    assert other.term.agent.clock.train_exp_counter == MOST_EXPERIENCES + 3
    assert len(other.term.plugin.importances) == 1


def test_another_plugin_s_state_is_refused(start: Start) -> None:
    told = start("EWC").term.snapshot(whole=True)
    with pytest.raises(CheckpointError, match="of Avalanche's EWC, not of MAS"):
        start("MAS").term.restore([told])


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("avalanche:EWD", "avalanche:EWC, avalanche:SI, avalanche:MAS"),
        ("avalanche:BiC", r"no BiC.*classes that come and go.*avalanche:EWC"),
        ("avalanche:CWRStarPlugin", "one head over all tokens"),
        ("avalanche:Replay", "`replay` is the same on a stream"),
        ("avalanche:EWC:lambda=1", "arguments of EWCPlugin: ewc_lambda"),
        ("avalanche:EWC:ewc_lambda=much", "for ewc_lambda a number"),
        ("avalanche:EWC:ewc_lambda=-1", "for ewc_lambda a number from 0"),
        ("avalanche:EWC:ewc_lambda=nan", "for ewc_lambda a number from 0"),
        ("avalanche:EWC:mode=both", "`online` or `separate`"),
        ("avalanche:AGEM:sample_size=3", f"a whole number from {MOST_EXPERIENCES}"),
        ("avalanche:GEM:patterns_per_experience=0", "above 0"),
    ],
)
def test_what_does_not_run_is_refused_before_the_first_step_with_the_reason(
    term: str, message: str
) -> None:
    with pytest.raises(InvalidValue, match=rf"learner.strategy: '{term}'.*{message}"):
        asked(term)


@pytest.mark.parametrize("name", ["A-GEM", "agem", "AGEMPlugin"])
def test_names_are_taken_as_people_write_them(name: str) -> None:
    assert asked(f"avalanche:{name}").known.plugin == "AGEMPlugin"


def test_the_import_leaves_the_home_directory_alone(tmp_path: Path) -> None:
    code = (
        "from learner.avalanche.library import load; import os; load(); print(os.environ['HOME'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path)
    assert not (tmp_path / ".avalanche").exists()
