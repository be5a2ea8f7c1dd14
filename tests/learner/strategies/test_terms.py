"""Each term adds what its formula says, changes weights, and survives a kill bit for bit."""

from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from learner.assembly import Assembly
from learner.batch import Batch, Text, build
from learner.checkpoint import Checkpoints
from learner.lesson import Lesson, Planner
from learner.origin import Origin
from learner.recipe import Recipe
from learner.seeds import random_for
from learner.snapshots import hashes
from learner.strategies.dark import IDS, LOGPROBS, Dark
from learner.strategies.registry import strategy_of
from learner.strategies.strategy import Strategy
from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE

CPU = torch.device("cpu")
WITH_TERMS = ("replay+distill", "replay+dark", "replay+reptile", "distill+dark+reptile+origin")


def recipe_of(strategy: str, **changes: object) -> Recipe:
    return msgspec.structs.replace(
        RECIPE, **({"strategy": strategy, "replay_share": 0.5, "reptile_interval": 2} | changes)
    )


def assembly(tokenizer: Tokenizer, recipe: Recipe) -> Assembly:
    return Assembly(recipe, 7, fakes.model(), tokenizer)


def learn(made: Assembly, first: int, last: int) -> None:
    """Steps `first` to `last`, two in three on new text."""
    stepper = made.stepper(Origin.empty())
    for i in range(first, last + 1):
        is_new = i % 3 or not len(made.state.rehearsal)
        arrivals = [fakes.arrival(2 * i), fakes.arrival(2 * i + 1)] if is_new else []
        assert stepper.step(made.state, arrivals) is not None


def shown(made: Assembly, recipe: Recipe) -> tuple[Lesson, Batch]:
    """What the next step shows, begun."""
    planner = Planner(recipe, 7, made.framing, made.strategy, Origin.empty())
    lesson = planner.plan(made.state, [fakes.arrival(98), fakes.arrival(99)], 50)
    made.strategy.begin(made.state, lesson)
    return lesson, build([], lesson.texts, lesson.anchors, recipe.row_tokens, CPU)


def logprobs(made: Assembly, text: Text, weights: dict[str, Tensor] | None = None) -> Tensor:
    """At each target of a text run by itself, (N, V)."""
    tokens = torch.tensor([text.example.tokens])
    own = dict(made.state.model.named_parameters())
    logits_BTV = functional_call(made.state.model, own | (weights or {}), (tokens,))
    targets_from = text.example.first_target - 1
    found: Tensor = logits_BTV[0, targets_from:-1].log_softmax(1)
    return found


def prediction(made: Assembly, lesson: Lesson) -> Tensor:
    """The mean of -log p over all targets, old and new."""
    nats = [
        -logprobs(made, t).gather(
            1, torch.tensor(t.example.tokens[t.example.first_target :])[:, None]
        )
        for t in lesson.texts
    ]
    return torch.cat(nats).mean()


def learned(made: Assembly) -> dict[str, str]:
    """What each part is, but for the watches, which change no weight and have laws of their own."""
    parts = made.state.parts.items()
    return hashes({name: part for name, part in parts if not name.startswith("watch_")})


def gradients(made: Assembly, total: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(total, list(made.state.optimizer.parameters.values())))


def assert_same_loss(made: Assembly, batch: Batch, expected: Tensor) -> None:
    """In value and in all gradients."""
    total = made.strategy.losses(made.state.model, batch).total
    assert float(total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for own, other in zip(gradients(made, total), gradients(made, expected), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-6)


def test_replay_is_the_mean_over_new_and_old_text(tokenizer: Tokenizer) -> None:
    recipe = recipe_of("replay")
    made = assembly(tokenizer, recipe)
    learn(made, 1, 4)
    lesson, batch = shown(made, recipe)
    assert int(batch.replayed_N.sum()) == lesson.num_tokens()["memory"] > 0
    assert_same_loss(made, batch, prediction(made, lesson))


def test_distill_adds_the_kl_from_the_average_to_the_model_on_old_text(
    tokenizer: Tokenizer,
) -> None:
    recipe = recipe_of("distill", distill_weight=3.0)
    made = assembly(tokenizer, recipe)
    learn(made, 1, 4)
    lesson, batch = shown(made, recipe)
    average = {name: t.clone() for name, t in made.state.average.weights().items()}
    expected = prediction(made, lesson)
    num_targets = sum(t.example.num_targets for t in lesson.texts)
    for text in lesson.texts:
        if text.slot is not None:
            own, teacher = logprobs(made, text), logprobs(made, text, average).detach()
            expected = expected + 3.0 * (teacher.exp() * (teacher - own)).sum() / num_targets
    assert bool(expected > prediction(made, lesson) + 1e-4)
    assert_same_loss(made, batch, expected)


def test_dark_stores_what_the_model_said_before_it_learned(tokenizer: Tokenizer) -> None:
    recipe = recipe_of("dark", dark_top_k=5)
    made = assembly(tokenizer, recipe)
    learn(made, 1, 2)
    planner = Planner(recipe, 7, made.framing, made.strategy, Origin.empty())
    arrival = fakes.arrival(50)
    lesson = planner.plan(made.state, [arrival], made.state.progress.step + 1)
    expected = torch.cat([logprobs(made, t).detach() for t in lesson.texts if t.slot is None])
    before = made.state.memory.num_held
    made.stepper(Origin.empty()).step(made.state, [arrival])
    slots = torch.arange(before, made.state.memory.num_held).numpy()
    assert made.state.memory.has(slots, IDS).all()
    top = expected.topk(5, dim=1)
    assert torch.equal(made.state.memory.stored(slots, IDS).long(), top.indices)
    stored = made.state.memory.stored(slots, LOGPROBS).float()
    torch.testing.assert_close(stored, top.values, rtol=2e-3, atol=2e-3)


def test_dark_adds_the_kl_from_the_stored_opinion_to_the_model(tokenizer: Tokenizer) -> None:
    """With all tokens kept it is the whole KL."""
    recipe = recipe_of("dark", dark_weight=2.0, dark_top_k=260)
    made = assembly(tokenizer, recipe)
    learn(made, 1, 5)
    lesson, batch = shown(made, recipe)
    expected = prediction(made, lesson)
    num_targets = sum(t.example.num_targets for t in lesson.texts)
    for text in lesson.texts:
        if text.slot is not None:
            slots = torch.tensor([text.slot]).numpy()
            ids = made.state.memory.stored(slots, IDS).long()
            said = made.state.memory.stored(slots, LOGPROBS).float()
            own = logprobs(made, text).gather(1, ids)
            expected = expected + 2.0 * (said.exp() * (said - own)).sum() / num_targets
    total = made.strategy.losses(made.state.model, batch).total
    assert bool(total > prediction(made, lesson) + 1e-4)
    # Half precision, in which opinions are stored, leaves a little to the tokens that are not kept.
    assert float(total.detach()) == pytest.approx(float(expected.detach()), abs=2e-3)


def test_dark_stores_no_opinion_that_is_not_finite(tokenizer: Tokenizer) -> None:
    recipe = recipe_of("dark")
    made = assembly(tokenizer, recipe)
    lesson, batch = shown(made, recipe)
    made.strategy.losses(made.state.model, batch)
    assert isinstance(made.strategy, Strategy)
    dark = made.strategy.terms["dark"]
    assert isinstance(dark, Dark)
    for opinions in dark._opinions.values():
        for _, logprobs_NK in opinions:
            logprobs_NK.fill_(float("nan"))
    placed = made.state.memory.add(lesson.shown[0].examples, "s", random_for(0, 0, "test"))
    made.strategy.remembered(made.state, 0, placed)
    assert not made.state.memory.has(placed.slots, IDS).any()


def test_reptile_goes_part_of_the_way_of_every_few_updates(tokenizer: Tokenizer) -> None:
    recipe = recipe_of("replay+reptile", reptile_interval=3, reptile_rate=0.25)
    plain, made = assembly(tokenizer, recipe_of("replay")), assembly(tokenizer, recipe)
    start = {n: p.detach().clone() for n, p in made.state.model.named_parameters()}
    for num_updates in (1, 2, 3):
        learn(plain, num_updates, num_updates)
        learn(made, num_updates, num_updates)
        for name, p in made.state.model.named_parameters():
            fast = plain.state.model.get_parameter(name)
            expected = fast if num_updates < 3 else start[name].lerp(fast, 0.25)
            assert torch.equal(p, expected), name


@pytest.mark.parametrize("strategy", WITH_TERMS)
def test_every_term_changes_what_the_weights_become(tokenizer: Tokenizer, strategy: str) -> None:
    plain, made = (assembly(tokenizer, recipe_of(name)) for name in ("replay", strategy))
    for one in (plain, made):
        learn(one, 1, 6)
    for name, p in made.state.model.named_parameters():
        assert not torch.equal(p, plain.state.model.get_parameter(name)), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("strategy", WITH_TERMS)
def test_a_killed_run_goes_on_bit_for_bit(
    tmp_path: Path, tokenizer: Tokenizer, strategy: str, optimizer: str
) -> None:
    recipe = recipe_of(strategy, optimizer=optimizer)
    whole = assembly(tokenizer, recipe)
    learn(whole, 1, 9)
    killed = assembly(tokenizer, recipe)
    learn(killed, 1, 5)
    Checkpoints(tmp_path, 2).write(killed.state, fakes.identity(recipe))
    restarted = assembly(tokenizer, recipe)
    assert Checkpoints(tmp_path, 2).restore_newest(restarted.state, fakes.identity(recipe))
    learn(restarted, 6, 9)
    assert learned(restarted) == learned(whole)


def test_the_teacher_follows_the_average(tokenizer: Tokenizer) -> None:
    made = assembly(tokenizer, recipe_of("replay"))
    teacher = made.state.average.teacher(made.state.model)
    learn(made, 1, 3)
    for name, averaged in made.state.average.weights().items():
        assert torch.equal(teacher.get_parameter(name), averaged)
        assert not torch.equal(averaged, made.state.model.get_parameter(name))


@pytest.mark.parametrize(
    "strategy", ["", "magic", "replay+replay", "finetune+replay", "replay+", "Replay"]
)
def test_a_strategy_that_there_is_not_is_refused(strategy: str) -> None:
    with pytest.raises(InvalidValue, match=r"learner\.strategy"):
        strategy_of(recipe_of(strategy))


def test_distilling_from_an_average_needs_an_average() -> None:
    with pytest.raises(InvalidValue, match=r"learner\.ema_decay: 0.* above 0"):
        strategy_of(recipe_of("distill", ema_decay=0.0))
