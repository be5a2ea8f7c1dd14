"""Served weights lie between the learned ones and the origin's.

What a pretrained model barely knew is lost first, by small common movements of all weights. Going
a fifth of the way back gives much of it again and costs little of what was learned (measured:
docs/experiments.md). The learner itself goes on from its own weights.

Source: Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), 2022 (arXiv:2109.01903);
there once, after training; here in every version.

Called by `state.py`. With a share of 0 it is nothing and costs nothing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter


class Blend:
    """Keeps a copy of the weights it is made with, by name: made before the first step."""

    def __init__(self, parameters: Mapping[str, Parameter], share: float) -> None:
        self._share = share
        self._origin = {n: p.detach().clone() for n, p in parameters.items()} if share else {}

    def of(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`weights`, and the recipe's share of the origin's instead of their own."""
        return self.at(self._share, weights)

    @torch.no_grad()
    def at(self, share: float, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The same with another share: what could be served. Only 0 where no copy is kept."""
        if not share:
            return weights
        assert self._origin, "the recipe blends, so the origin was kept"
        learned = 1 - share
        return {n: self._origin[n].lerp(w.detach(), learned) for n, w in weights.items()}
