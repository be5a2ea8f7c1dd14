"""Averaged weights: what is published instead of the last step's, which wander with each batch.

With a decay of 0 the average is the model itself, and costs nothing.

Source: Morales-Brotons et al., Exponential Moving Average of Weights in Deep Learning, 2023
(arXiv:2306.16817); the decay grows from 0.1, so that the first steps are not held back by weights
that knew nothing.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from riverrun.model.decoder import Decoder


class Average:
    """The running average of the parameters that learn, by name."""

    def __init__(self, parameters: Mapping[str, Parameter], decay: float) -> None:
        self._live = dict(parameters)
        self._decay = decay
        self.is_live = decay == 0
        self._average = {
            name: p.detach() if self.is_live else p.detach().clone()
            for name, p in self._live.items()
        }

    @torch.no_grad()
    def follow(self, num_updates: int) -> None:
        """Move towards the weights after their update number `num_updates` (from 0)."""
        if self.is_live:
            return
        decay = min(self._decay, (1 + num_updates) / (10 + num_updates))
        live = [p.detach() for p in self._live.values()]
        torch._foreach_lerp_(list(self._average.values()), live, 1 - decay)

    def weights(self) -> Mapping[str, Tensor]:
        return self._average

    def teacher(self, model: Decoder) -> Decoder:
        """`model` with the averaged weights: a view that follows them, and takes no memory."""
        made = copy.deepcopy(model).requires_grad_(False)
        for name, parameter in made.named_parameters():
            shared = self._average.get(name)
            parameter.data = model.get_parameter(name).data if shared is None else shared
        return made
