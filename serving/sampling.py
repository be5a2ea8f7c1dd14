"""From the logits of one position to the token that follows.

Greedy rows are chosen together; a sampled row is chosen alone, from its own random numbers, so
that its neighbours cannot change it. Knows nothing of sequences, caches or text. Called by
`serving/runner.py`.

B rows, V vocabulary, K candidates kept.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_TEMPERATURE = 1e-5
"""Below it the likeliest token has all the probability that fp32 can tell."""

FEW = 256
"""Candidates in which the nucleus is looked for before all of V is sorted (49,152 tokens on one
core: 0.07 ms against 2.8)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request wants its tokens chosen. Temperature 0 is greedy; None is no limit.

    Applied in the order and with the meaning of Hugging Face's `generate`: the penalty, the
    temperature, top_k, top_p, min_p.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    """Above 0; 1 is no limit."""
    min_p: float | None = None
    """Tokens less likely than this share of the likeliest are left out; 0 to 1."""
    repetition_penalty: float | None = None
    """Above 0. Of every token that prompt or answer hold, a positive logit is divided by it and a
    negative one multiplied: above 1 says new things, below 1 repeats. Greedy answers too."""
    seed: int | None = None

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1

    def random_numbers(self) -> random.Random:
        """The request's own source; the same seed gives the same numbers on every machine."""
        return random.Random(secrets.randbits(64) if self.seed is None else self.seed)


GREEDY = Sampling()


def likeliest(logits_BV: Tensor) -> tuple[list[int], list[bool]]:
    """Each row's likeliest token, and whether the row is finite."""
    largest_B, likeliest_B = logits_BV.max(dim=-1)
    # NaN is the largest of all, so the one number tells whether the row is finite.
    return likeliest_B.tolist(), largest_B.isfinite().tolist()


def penalize(logits_V: Tensor, tokens: Sequence[int], penalty: float) -> Tensor:
    """The logits after the repetition penalty; a token counts once however often it stands.

    Source: Keskar et al., CTRL, 2019, as Hugging Face's RepetitionPenaltyLogitsProcessor.
    """
    seen_K = torch.tensor(tokens, device=logits_V.device)
    seen_logits_K = logits_V[seen_K]
    changed_K = torch.where(seen_logits_K > 0, seen_logits_K / penalty, seen_logits_K * penalty)
    return logits_V.index_put((seen_K,), changed_K)


def sample(logits_V: Tensor, sampling: Sampling, uniform: float) -> int:
    """The token at `uniform` (from 0, below 1) of the distribution that is left.

    top_k first, then top_p and min_p among what it left; drawn by inverting the cumulative
    distribution, so that one number decides and nearly equal logits give the same token. Source:
    Holtzman et al., The Curious Case of Neural Text Degeneration, 2019, for top_p; Nguyen et al.,
    Turning Up the Heat, 2024, for min_p.
    """
    temperature = max(sampling.temperature, MIN_TEMPERATURE)
    # The largest is subtracted first: the quotient cannot overflow to inf - inf.
    scaled_V = (logits_V - logits_V.max()) / temperature
    if sampling.top_k is None and sampling.top_p is None:
        weights_V = scaled_V.softmax(-1)
        _drop_unlikely(weights_V, sampling.min_p)
        return _draw(weights_V, uniform)
    num_tokens = scaled_V.shape[0]
    if sampling.top_k is None:
        assert sampling.top_p is not None
        weights_K, tokens_K = _nucleus(scaled_V.softmax(-1), sampling.top_p, num_tokens)
    else:
        kept_K, tokens_K = scaled_V.topk(min(sampling.top_k, num_tokens))
        weights_K = kept_K.softmax(-1)
        if sampling.top_p is not None:
            weights_K, order_K = _nucleus(weights_K, sampling.top_p, len(weights_K))
            tokens_K = tokens_K[order_K]
    _drop_unlikely(weights_K, sampling.min_p)
    return int(tokens_K[_draw(weights_K, uniform)])


def _drop_unlikely(weights_K: Tensor, min_p: float | None) -> None:
    """Zero what is below `min_p` times the largest; that one always stays."""
    if min_p:
        weights_K.masked_fill_(weights_K < min_p * weights_K.max(), 0.0)


def _nucleus(weights_V: Tensor, top_p: float, num_tokens: int) -> tuple[Tensor, Tensor]:
    """The fewest weights, largest first, that together reach `top_p`, and where they were."""
    for num_kept in (min(FEW, num_tokens), num_tokens):
        weights_K, places_K = weights_V.topk(num_kept)
        reached_K = weights_K.cumsum(-1, dtype=torch.float64)
        if float(reached_K[-1]) >= top_p or num_kept == num_tokens:
            break
    num_needed = int((reached_K < top_p).sum()) + 1
    return weights_K[:num_needed], places_K[:num_needed]


def _draw(weights_K: Tensor, uniform: float) -> int:
    """The place where the running sum passes `uniform` of the whole."""
    reached_K = weights_K.cumsum(-1, dtype=torch.float64)
    place = torch.searchsorted(reached_K, reached_K[-1:] * uniform, right=True)
    return min(int(place), len(weights_K) - 1)
