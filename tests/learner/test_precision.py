"""Mixed precision multiplies in bfloat16, and keeps weights, moments and average in float32.

On a CPU autocast needs no bfloat16 of the processor's own: elsewhere it is only slower.
"""

from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from learner import workers
from learner.checkpoint import Checkpoints
from learner.recipe import Recipe
from learner.state import State
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

STEPS = 8


def recipe_of(precision: str, optimizer: str = "adamw") -> Recipe:
    return replace(fakes.RECIPE, precision=precision, optimizer=optimizer)


def learn(tokenizer: Tokenizer, state: State, recipe: Recipe, first: int, last: int) -> list[float]:
    """The losses of these steps: two in three on new text."""
    stepper, losses = fakes.stepper(tokenizer, recipe), []
    for i in range(first, last + 1):
        is_new = i % 3 or not len(state.rehearsal)
        report = stepper.step(state, [fakes.arrival(i)] if is_new else [])
        assert report is not None
        assert report.is_finite
        losses.append(report.loss)
    return losses


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weights_moments_and_average_stay_float32_whatever_multiplies(
    tokenizer: Tokenizer, optimizer: str
) -> None:
    recipe = recipe_of("bfloat16", optimizer)
    state = fakes.state(recipe)
    learn(tokenizer, state, recipe, 1, STEPS)
    kept = {
        **dict(state.model.named_parameters()),
        **state.optimizer.tensors(),
        **{f"average.{name}": tensor for name, tensor in state.average.weights().items()},
    }
    assert len(kept) > 2 * len(dict(state.model.named_parameters()))
    assert {name: t.dtype for name, t in kept.items() if t.dtype != torch.float32} == {}


def test_mixed_precision_learns_as_float32_does_and_not_the_same_bits(tokenizer: Tokenizer) -> None:
    plain, mixed = recipe_of("float32"), recipe_of("bfloat16")
    by_float32, by_bfloat16 = fakes.state(plain), fakes.state(mixed)
    wanted = learn(tokenizer, by_float32, plain, 1, STEPS)
    found = learn(tokenizer, by_bfloat16, mixed, 1, STEPS)
    assert found == pytest.approx(wanted, rel=0.02)
    assert found != wanted
    for name, p in by_float32.model.named_parameters():
        assert not torch.equal(p, by_bfloat16.model.get_parameter(name)), name
        # A small update is not lost to rounding, as it would be in bfloat16's eight bits.
        moved = by_bfloat16.model.get_parameter(name)
        assert not torch.equal(moved, moved.bfloat16().float()), name


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize(("optimizer", "num_workers"), [("adamw", 1), ("muon", 1), ("adamw", 2)])
def test_a_killed_run_in_mixed_precision_goes_on_bit_for_bit(
    tmp_path: Path, tokenizer: Tokenizer, optimizer: str, num_workers: int
) -> None:
    workers.share_out(num_workers)
    recipe = recipe_of("bfloat16", optimizer)
    whole, killed, restarted = (fakes.state(recipe) for _ in range(3))
    learn(tokenizer, whole, recipe, 1, STEPS)
    learn(tokenizer, killed, recipe, 1, 5)
    Checkpoints(tmp_path, 2).write(killed, fakes.identity(recipe))
    assert Checkpoints(tmp_path, 2).restore_newest(restarted, fakes.identity(recipe))
    learn(tokenizer, restarted, recipe, 6, STEPS)
    assert fakes.bits(restarted) == fakes.bits(whole)
