"""Norms by layer: of the gradient, and of the update against the weights.

The update is measured on a sample of each tensor's numbers, evenly spread: a copy of all weights
would cost as much memory as the optimizer.

Knows nothing of what is healthy. Called by `health.py`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

SAMPLE = 4096
"""Numbers of one tensor whose update is looked at."""


def layer_of(name: str) -> str:
    """`layers.3`, `embed_tokens`, `norm`, `lm_head`: what a parameter's numbers add up under."""
    parts = name.removeprefix("model.").split(".")
    return ".".join(parts[:2]) if parts[0] == "layers" else parts[0]


def gradient_norms(parameters: Mapping[str, Parameter]) -> dict[str, float]:
    """By layer; one transfer from the device for all."""
    named = [(layer_of(n), p.grad) for n, p in parameters.items() if p.grad is not None]
    if not named:
        return {}
    norms = torch.stack(torch._foreach_norm([gradient for _, gradient in named])).tolist()
    squares: dict[str, float] = {}
    for (layer, _), norm in zip(named, norms, strict=True):
        squares[layer] = squares.get(layer, 0.0) + norm**2
    return {layer: square**0.5 for layer, square in squares.items()}


@torch.no_grad()
def samples(parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """Of each tensor, copies of numbers that lie evenly in it."""
    return {n: _sample(p).clone() for n, p in parameters.items()}


@torch.no_grad()
def update_ratios(
    before: Mapping[str, Tensor], parameters: Mapping[str, Parameter]
) -> dict[str, float]:
    """By layer, the norm of what changed since `samples` over the norm of the weights."""
    changes: dict[str, float] = {}
    sizes: dict[str, float] = {}
    for name, parameter in parameters.items():
        layer, now = layer_of(name), _sample(parameter)
        # A tensor's sample stands for all of it.
        weight = parameter.numel() / now.numel()
        change = float((now - before[name]).square().sum()) * weight
        changes[layer] = changes.get(layer, 0.0) + change
        sizes[layer] = sizes.get(layer, 0.0) + float(before[name].square().sum()) * weight
    return {layer: (changes[layer] / max(sizes[layer], 1e-30)) ** 0.5 for layer in changes}


def _sample(parameter: Parameter) -> Tensor:
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLE)]
