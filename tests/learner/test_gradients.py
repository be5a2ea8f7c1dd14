"""A step's passes, by one worker or two: the same losses, and the same bits each time."""

import pytest
import torch
from msgspec.structs import replace

from learner import workers
from learner.batch import Batch, Text
from learner.framing import Example
from learner.gradients import Gradients, Sums
from learner.lesson import Lesson, Shown
from learner.recipe import Recipe
from learner.state import State
from learner.strategies.registry import strategy_of
from learner.strategies.strategy import Losses, Strategy
from learner.study_pair import Pair
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

STEPS = 8
PAIR = Pair("Where does the river run?", "To the sea.")
LENGTHS = (20, 3, 9, 14, 5)


def recipe_of(precision: str = "float32", strategy: str = "replay") -> Recipe:
    return replace(fakes.RECIPE, precision=precision, strategy=strategy)


def state_of(recipe: Recipe) -> State:
    extras = strategy_of(recipe, ()).extras
    return State(fakes.model(), recipe, extras)


def sums_of(tokenizer: Tokenizer, recipe: Recipe) -> Sums:
    """Of a lesson of five texts, the last two of which ask again."""
    state, stepper = state_of(recipe), fakes.stepper(tokenizer, recipe)
    examples = [Example([(7 * n + i) % 50 for i in range(n)], 1) for n in LENGTHS]
    owners = (0, 0, 1, 2, 2)
    shown = [Shown("one", "s", None, examples[:2], [PAIR], asked=[0])]
    shown.append(Shown("two", "s", None, examples[2:3]))
    texts = [Text(one, 0.1, owner) for one, owner in zip(examples, owners, strict=True)]
    lesson = Lesson(7, 1, "new", shown, {}, [PAIR, PAIR], texts, [])
    strategy = strategy_of(recipe, stepper.framing.prefix)
    strategy.begin(state, lesson)
    sums = Gradients(recipe, stepper.framing, strategy).of(state, lesson, lambda: False)
    assert sums is not None
    return sums


@pytest.mark.parametrize("chunk_tokens", [24, 16_384])
@pytest.mark.usefixtures("two_workers")
def test_two_workers_report_what_one_does_text_by_text(
    tokenizer: Tokenizer, chunk_tokens: int
) -> None:
    recipe = replace(recipe_of(), chunk_tokens=chunk_tokens)
    by_two = sums_of(tokenizer, recipe)
    workers.share_out(1)
    by_one = sums_of(tokenizer, recipe)
    assert len(by_one.answers) == len(LENGTHS)
    assert by_two.loss == pytest.approx(by_one.loss, rel=1e-5)
    assert by_two.nats == pytest.approx(by_one.nats, rel=1e-5)
    for two, one in zip(by_two.answers, by_one.answers, strict=True):
        assert two == pytest.approx(one, rel=1e-5)
    assert len({round(one.mean, 6) for one in by_one.answers}) == len(LENGTHS)


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_workers_learn_what_one_does_and_the_same_bits_each_time(
    tokenizer: Tokenizer, precision: str
) -> None:
    recipe = recipe_of(precision)
    first, again = (fakes.learn(tokenizer, state_of(recipe), 1, STEPS, recipe) for _ in range(2))
    assert fakes.bits(first) == fakes.bits(again)
    workers.share_out(1)
    alone = fakes.learn(tokenizer, state_of(recipe), 1, STEPS, recipe)
    changes = {
        n: (first.model.get_parameter(n) - p).abs().max() for n, p in alone.model.named_parameters()
    }
    assert 0 < max(changes.values()) < 0.1 * recipe.lr * STEPS


@pytest.mark.usefixtures("two_workers")
def test_a_strategy_that_notes_what_it_sees_sees_a_chunk_as_a_whole_with_all_threads(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(strategy="replay+dark")
    seen: list[tuple[int, int]] = []
    losses = Strategy.losses

    def watched(self: Strategy, model: Decoder, batch: Batch) -> Losses:
        seen.append((len(batch.texts), torch.get_num_threads()))
        return losses(self, model, batch)

    monkeypatch.setattr(Strategy, "losses", watched)
    sums = sums_of(tokenizer, recipe)
    assert seen == [(len(LENGTHS), 2)]
    assert torch.get_num_threads() == 1
    assert len(sums.answers) == len(LENGTHS)
