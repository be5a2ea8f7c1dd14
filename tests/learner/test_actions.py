"""An action changes the state the same way each time, and a restart finds what it left."""

from pathlib import Path

import msgspec
import pytest

from learner.actions import Action, apply
from learner.checkpoint import Checkpoints
from learner.state import State
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

IDENTITY = fakes.identity()
CHANGES = [
    Action(kind="lower_rate", numbers={"factor": 0.5}),
    Action(kind="rewarm_rate"),
    Action(kind="reset_optimizer"),
    Action(kind="stop_rehearsal"),
]


def learned(tokenizer: Tokenizer, state: State, first: int, last: int) -> State:
    stepper = fakes.stepper(tokenizer, recipe_of(state))
    for number in range(first, last + 1):
        assert stepper.step(state, [fakes.arrival(number)]) is not None
    return state


def recipe_of(state: State) -> fakes.Recipe:
    muon = state.optimizer._muon is not None
    return msgspec.structs.replace(fakes.RECIPE, optimizer="muon" if muon else "adamw")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.kind)
def test_a_restart_after_an_action_goes_on_bit_for_bit(
    tmp_path: Path, tokenizer: Tokenizer, action: Action, optimizer: str
) -> None:
    """Right after it, and once it has had its effect on an update."""
    recipe = msgspec.structs.replace(fakes.RECIPE, optimizer=optimizer)
    identity = fakes.identity(recipe)
    state = learned(tokenizer, fakes.state(recipe), 1, 4)
    before = fakes.bits(state)
    apply(state, action)
    assert fakes.bits(state) != before
    for last in (4, 6):
        checkpoints = Checkpoints(tmp_path / str(last), 2)
        checkpoints.write(state, identity)
        restored = fakes.state(recipe)
        assert checkpoints.restore_newest(restored, identity) is not None
        checkpoints.close()
        assert fakes.bits(restored) == fakes.bits(state)
        learned(tokenizer, state, last + 1, last + 2)
        learned(tokenizer, restored, last + 1, last + 2)
        assert fakes.bits(restored) == fakes.bits(state)


@pytest.mark.parametrize("kind", ["promote", "hold", "roll_back"])
def test_what_concerns_versions_leaves_the_state_alone(tokenizer: Tokenizer, kind: str) -> None:
    state = learned(tokenizer, fakes.state(), 1, 2)
    before = fakes.bits(state)
    apply(state, msgspec.convert({"kind": kind}, Action))
    assert fakes.bits(state) == before
