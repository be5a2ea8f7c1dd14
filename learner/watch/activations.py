"""What the layers do on a batch: units that are dead, and how many directions are in use.

A SwiGLU unit is dead on a batch when its largest output is a thousandth of what the layer's units
reach on average. The effective rank is the exponential of the entropy of the hidden states'
spectrum (centred), as a share of what the batch or the width allows: 1 when all directions are used
alike, near 0 when all tokens look the same. Of three layers only (first, middle, last): each costs
an eigenvalue problem of the width.

Knows nothing of what is healthy. Called by `health.py`.

Source: Roy and Vetterli, The Effective Rank, 2007; Kumar et al., Implicit Under-Parameterization,
2021, for rank as a sign of lost plasticity.

B rows, T tokens, D width, U units, N tokens of the batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from riverrun.model.decoder import Decoder, Layer

DEAD = 1e-3


class Activity(NamedTuple):
    """By layer, as `layers.0`."""

    dead_units: dict[str, float]
    effective_rank: dict[str, float]


@torch.no_grad()
def activity(model: Decoder, run: Callable[[], Any]) -> Activity:
    """Look at the layers while `run` runs the model forward."""
    dead: dict[str, float] = {}
    rank: dict[str, float] = {}
    handles = []
    last = len(model.model.layers) - 1
    try:
        for i, layer in enumerate(model.model.layers):
            name = f"layers.{i}"

            def see_units(module: object, inputs: tuple[Tensor], name: str = name) -> None:  # noqa: ARG001
                dead[name] = dead_share(inputs[0].flatten(0, -2).float())

            assert isinstance(layer, Layer)
            handles.append(layer.mlp.down_proj.register_forward_pre_hook(see_units))
            if i in {0, last // 2, last}:

                def see_rank(
                    module: object,  # noqa: ARG001
                    inputs: object,  # noqa: ARG001
                    out: Tensor,
                    name: str = name,
                ) -> None:
                    rank[name] = effective_rank(out.flatten(0, -2).float())

                handles.append(layer.register_forward_hook(see_rank))
        run()
    finally:
        for handle in handles:
            handle.remove()
    return Activity(dead, rank)


def dead_share(units_NU: Tensor) -> float:
    """Of the units."""
    largest_U = units_NU.abs().amax(0)
    return float((largest_U <= DEAD * largest_U.mean()).float().mean())


def effective_rank(hidden_ND: Tensor) -> float:
    """Between 0 and 1; 0 when all tokens look the same."""
    centred_ND = hidden_ND - hidden_ND.mean(0)
    num, width = centred_ND.shape
    gram = centred_ND @ centred_ND.T if num < width else centred_ND.T @ centred_ND
    most = max(1, min(num - 1, width))
    values = torch.linalg.eigvalsh(gram.double()).clamp_min(0).sqrt()
    total = values.sum()
    if not torch.isfinite(total) or total <= 0:
        return 0.0
    shares = values / total
    shares = shares[shares > 0]
    return min(1.0, float((-(shares * shares.log()).sum()).exp()) / most)
