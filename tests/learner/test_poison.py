"""Poisoned text is caught before it is served, and clean text goes on being learned.

The real loop, gate, store and new lines; a small model, and no replay, so that poison does harm.
"""

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from learner.batch import Batch
from learner.gradients import Gradients
from learner.step import Stepper
from learner.strategies.strategy import Losses, Strategy
from riverrun.model.decoder import Decoder
from riverrun.settings import GateSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(
    fakes.RECIPE,
    strategy="finetune",
    lr=1e-2,
    max_passes=1,
    ema_decay=0.9,
    held_out_share=0.2,
    held_out_after=8,
    warmup_steps=10,
)
GATE = GateSettings(judging_share=1.0, panel_tokens=4096)
OWN = sentences(60, seed=99)
"""Clean text that only the test has seen."""
CLOSE = 1.02
"""What is served stays within 1% of the best on the gate's text; this is other text."""
BEFORE, AFTER = sentences(360, seed=1), sentences(100, seed=4)


def garbage(num: int) -> list[str]:
    chance = random.Random(1)
    letters = [chr(i) for i in range(33, 0x2FF) if chr(i).isprintable()]
    return ["".join(chance.choices(letters, k=100)) for _ in range(num)]


def shuffled(num: int) -> list[str]:
    chance = random.Random(2)
    found = []
    for text in sentences(num, seed=3):
        words = text.replace(".", " .").split()
        chance.shuffle(words)
        found.append(" ".join("".join(chance.sample(word, len(word))) for word in words))
    return found


Closing = Callable[[River], River]

POISONS = {
    "garbage": garbage(80),
    "one_document": ["buy buy buy the wonderful pills at pills dot example now!"] * 240,
    "shuffled": shuffled(120),
}


@pytest.fixture(scope="module")
def clean_river(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> River:
    """It has learned clean text; tests go on from copies."""
    torch.set_num_threads(1)
    river = River(tmp_path_factory.mktemp("clean"), tokenizer, RECIPE, GATE)
    river.learn(documents(BEFORE, "clean"))
    river.close()
    return river


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Closes at the end, whatever happens."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


def go_on(clean: River, directory: Path) -> River:
    shutil.copytree(clean.directory, directory, dirs_exist_ok=True)
    river = River(directory, clean.tokenizer, RECIPE, GATE, texts=clean.texts)
    assert river.state.progress.step == clean.state.progress.step
    return river


def served(river: River) -> list[float]:
    """Loss on the test's own text of each version that was promoted, in order."""
    return [river.bits_per_byte(m.version, OWN) for m in river.promoted()]


def assert_close_to_the_best(losses: list[float]) -> None:
    best = losses[0]
    for loss in losses:
        assert loss < CLOSE * best
        best = min(best, loss)


@pytest.mark.parametrize("name", POISONS)
def test_poisoned_text_is_held_and_left_out_and_clean_text_is_learned_on(
    tmp_path: Path, clean_river: River, closing: Closing, name: str
) -> None:
    river = closing(go_on(clean_river, tmp_path))
    before = river.bits_per_byte(river.store.promoted() or "", OWN)
    river.learn(documents(POISONS[name], "troll"))
    harm = max(river.bits_per_byte(m.version, OWN) for m in river.versions)
    assert harm > 1.05 * before, "poison that does no harm tests nothing"
    river.learn(documents(AFTER, "clean"))
    losses = served(river)
    assert_close_to_the_best([before, *losses])
    assert losses[-1] < 0.95 * before
    assert any(m.decision == "hold" for m in river.versions)
    assert river.num_roll_backs >= 1
    assert "troll" in river.state.quarantine
    assert "clean" not in river.state.quarantine


def test_a_rate_that_is_far_too_high_is_lowered_until_text_is_learned(
    tmp_path: Path, tokenizer: Tokenizer, closing: Closing
) -> None:
    recipe = msgspec.structs.replace(RECIPE, lr=1.0, warmup_steps=1)
    river = closing(River(tmp_path, tokenizer, recipe, GATE))
    [untouched] = served(river)
    river.learn(documents(BEFORE, "clean"))
    losses = served(river)
    assert_close_to_the_best(losses)
    assert losses[-1] < 0.8 * untouched
    assert river.state.pace.tempo.factor < 1
    # The rate was at fault, not the text: all of it was learned.
    assert river.state.left_out.ranges == []
    assert "clean" not in river.state.quarantine


class Spoiled(Strategy):
    """Its loss is not a number for any step that shows a `Z`."""

    def losses(self, model: Decoder, batch: Batch) -> Losses:
        found = super().losses(model, batch)
        is_spoiled = bool((batch.targets_N == ord("Z")).any())
        return found._replace(total=found.total * float("nan")) if is_spoiled else found


def spoil(stepper: Stepper) -> Stepper:
    spoiled = Spoiled(stepper._strategy.terms)
    stepper._strategy = spoiled
    stepper._gradients = Gradients(stepper.recipe, stepper.framing, spoiled)
    return stepper


def test_text_that_makes_the_loss_not_finite_changes_no_version(
    tmp_path: Path, tokenizer: Tokenizer, closing: Closing
) -> None:
    river = closing(River(tmp_path, tokenizer, RECIPE, GATE, wrap=spoil))
    river.learn(documents(BEFORE[:120], "clean"))
    before = river.promoted()[-1]
    river.learn(documents(["Z is the last letter."] * 120, "troll"))
    assert river.metrics.non_finite._value.get() >= 3
    losses = [river.bits_per_byte(m.version, OWN) for m in river.versions if m.step > before.step]
    assert set(losses) == {river.bits_per_byte(before.version, OWN)}
    assert any("optimizer_reset" in [c.kind for c in m.consequences] for m in river.versions)
    river.learn(documents(AFTER, "clean"))
    assert_close_to_the_best(served(river))
    assert served(river)[-1] < 0.99 * losses[0]
