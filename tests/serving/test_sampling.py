"""Tokens are drawn from the distribution that was asked for, and from nothing else."""

import random

import pytest
import torch

from serving.sampling import Sampling, sample

LOGITS_V = torch.tensor([2.0, 0.5, -1.0, 1.5, -30.0, 0.0])
DRAWS = 20_000


def frequencies(sampling: Sampling, logits_V: torch.Tensor = LOGITS_V) -> torch.Tensor:
    numbers = random.Random(5)
    counts_V = torch.zeros(len(logits_V))
    for _ in range(DRAWS):
        counts_V[sample(logits_V, sampling, numbers.random())] += 1
    return counts_V / DRAWS


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_frequencies_are_those_of_the_softmax(temperature: float) -> None:
    expected_V = (LOGITS_V / temperature).softmax(-1)
    found_V = frequencies(Sampling(temperature=temperature))
    # Five standard errors of the largest cell.
    assert float((found_V - expected_V).abs().max()) < 5 * 0.5 / DRAWS**0.5


def test_top_k_leaves_the_k_likeliest_in_their_proportions() -> None:
    found_V = frequencies(Sampling(temperature=1.0, top_k=2))
    assert set(found_V.nonzero().flatten().tolist()) == {0, 3}
    expected = torch.tensor([2.0, 1.5]).softmax(-1)
    assert abs(float(found_V[0] - expected[0])) < 0.02


def test_top_p_leaves_the_fewest_that_reach_it() -> None:
    probabilities_V = LOGITS_V.softmax(-1)
    for top_p in (0.3, 0.6, 0.9, 0.99):
        order = probabilities_V.argsort(descending=True).tolist()
        kept: set[int] = set()
        while sum(float(probabilities_V[i]) for i in kept) < top_p:
            kept.add(order[len(kept)])
        found_V = frequencies(Sampling(temperature=1.0, top_p=top_p))
        assert set(found_V.nonzero().flatten().tolist()) == kept


def test_top_p_over_a_flat_vocabulary_looks_beyond_the_first_few() -> None:
    logits_V = torch.zeros(5000)
    tokens = {sample(logits_V, Sampling(1.0, top_p=0.5), i / 5000) for i in range(5000)}
    # One more where 2500 times the rounded 1/5000 falls short of a half.
    assert len(tokens) in (2500, 2501)


def test_top_k_and_top_p_together_are_k_first() -> None:
    found_V = frequencies(Sampling(temperature=1.0, top_k=3, top_p=0.5))
    assert set(found_V.nonzero().flatten().tolist()) == {0}


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(1.0),
        Sampling(1e-45),
        Sampling(100.0),
        Sampling(1.0, top_k=1),
        Sampling(1.0, top_k=10**9),
        Sampling(1.0, top_p=1e-30),
        Sampling(1.0, top_p=0.999999),
    ],
)
def test_extreme_values_give_a_token_that_has_some_probability(
    sampling: Sampling, uniform: float
) -> None:
    logits_V = torch.tensor([-1e30, 3e38, 0.0, -3e38, 1.0])
    assert sample(logits_V, sampling, uniform) == 1
    assert 0 <= sample(LOGITS_V, sampling, uniform) < len(LOGITS_V)


def test_the_same_seed_gives_the_same_numbers_and_none_gives_others() -> None:
    seeded = [Sampling(1.0, seed=2**64 - 1).random_numbers().random() for _ in range(2)]
    assert seeded[0] == seeded[1]
    free = [Sampling(1.0).random_numbers().random() for _ in range(2)]
    assert free[0] != free[1]
