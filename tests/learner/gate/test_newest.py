"""Without held-out text: the newest text now, and before it was learned."""

import pytest
import torch
from torch import Tensor

from learner.framing import Framing
from learner.gate.newest import Newest
from learner.gate.reference import Reference
from learner.watch.surprise import Surprise, wearing
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

OLD, NEW = "the river rises at the gauge", "the ferry waits for the tide"


@pytest.fixture
def surprise(tokenizer: Tokenizer) -> Surprise:
    return Surprise(
        Framing(tokenizer, fakes.RECIPE.framings, fakes.RECIPE.block_tokens), fakes.RECIPE
    )


def weights(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    model = fakes.model()
    return {n: w + 0.05 * torch.randn_like(w) for n, w in model.named_parameters()}


class Judge:
    """Candidates one after the other, each of which may become the reference."""

    def __init__(self, surprise: Surprise) -> None:
        self.model: Decoder = fakes.model()
        self.surprise = surprise
        self.reference = Reference(torch.float32)
        self.newest = Newest()

    def ratio(self, candidate: dict[str, Tensor], texts: list[str]) -> float | None:
        found = self.newest.losses(self.model, candidate, texts, self.surprise, self.reference)
        return found.numbers.get("learned_ratio")

    def nats(self, of: dict[str, Tensor], text: str) -> float:
        with wearing(self.model, of):
            return self.surprise.nats(self.model, [text])[0]


def test_a_text_is_held_against_the_best_version_from_before_it(surprise: Surprise) -> None:
    judge = Judge(surprise)
    first, second, third = weights(1), weights(2), weights(3)
    judge.reference.become(first, {})
    assert judge.ratio(second, [OLD]) == pytest.approx(
        judge.nats(second, OLD) / judge.nats(first, OLD)
    )
    judge.reference.become(second, {})
    # Of the old text that is still the first version, of the new one the second.
    assert judge.ratio(third, [OLD, NEW]) == pytest.approx(
        (judge.nats(third, OLD) + judge.nats(third, NEW))
        / (judge.nats(first, OLD) + judge.nats(second, NEW))
    )
    # And of a candidate that learned nothing new since.
    judge.reference.become(third, {})
    assert judge.ratio(second, [NEW]) == pytest.approx(1.0)


def test_what_the_first_version_learned_is_held_against_nothing(surprise: Surprise) -> None:
    judge = Judge(surprise)
    first, second = weights(1), weights(2)
    assert judge.ratio(first, [OLD]) is None
    judge.reference.become(first, {})
    assert judge.ratio(second, [OLD]) is None
    assert judge.ratio(second, [OLD, NEW]) == pytest.approx(
        judge.nats(second, NEW) / judge.nats(first, NEW)
    )
