"""Both sides of the ratio do the same work, and the figures are theirs."""

import msgspec
import pytest
import torch

from bench import train
from learner.assembly import Assembly
from learner.batch import build
from learner.lesson import Planner
from learner.origin import Origin
from learner.recipe import SCRATCH
from riverrun.settings import LearnerSettings, Settings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes


def test_the_bare_loop_learns_what_our_step_learns(tokenizer: Tokenizer) -> None:
    """Bit for bit, where nothing is clipped and the rate is the peak."""
    recipe = msgspec.structs.replace(
        fakes.RECIPE, grad_clip=1e9, warmup_steps=0, max_step_tokens=128
    )
    train.fix_arithmetic(1)
    ours, bare = (Assembly(recipe, 1, fakes.model(), tokenizer) for _ in range(2))
    stepper = ours.stepper(Origin.empty())
    planner = Planner(recipe, 1, ours.framing, ours.strategy, Origin.empty())
    for arrivals, step in zip(train.documents(recipe, ours), (1, 2, 3), strict=False):
        lesson = planner.plan(ours.state, arrivals, step)
        bare.strategy.begin(bare.state, lesson)
        batch = build([], lesson.texts, [], recipe.row_tokens, torch.device("cpu"))
        train.bare_step(bare, [batch], recipe)
        bare.state.average.follow(step - 1)
        assert stepper.step(ours.state, arrivals) is not None
    for name, p in ours.state.model.named_parameters():
        assert torch.equal(p, bare.state.model.get_parameter(name)), name


def test_the_figures_are_of_the_rounds_after_the_first_ones() -> None:
    settings = Settings(model="tiny", learner=LearnerSettings(max_step_tokens=256, num_threads=1))
    told: list[str] = []
    figures = train.run(settings, 2, told.append)
    assert len(told) == train.WARMUP + 2
    assert figures.rounds == 2
    assert 0 < figures.tokens_per_step <= 256 / (1 - SCRATCH.replay_share) + SCRATCH.block_tokens
    assert figures.tokens_per_s == pytest.approx(figures.tokens_per_step / figures.step_s, rel=0.5)
    assert figures.ratio > 0
    assert figures.cpu_ratio > 0
