"""A look into the model on a little recent text: activity of its layers, curvature of its loss.

Leaves weights and gradients bit for bit as they were. Called by `health.py`.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from learner.batch import Batch
from learner.content import Content
from learner.state import State
from learner.watch.activations import Activity, activity
from learner.watch.curvature import extremes
from learner.watch.surprise import Surprise

TOKENS = 512
"""Of text that is looked at."""
BLOCK_NUMBERS = 4_000_000
"""Of the parameters whose curvature is looked at; Lanczos keeps a dozen such vectors."""
PRODUCTS = 10
CURVATURE_COST = 2 * PRODUCTS * TOKENS
"""In trained tokens: two gradients a product."""


def look_into_layers(state: State, surprise: Surprise, texts: Sequence[Content]) -> Activity | None:
    """None when there is no text to look at."""
    batch = surprise.batch(state.model, texts, TOKENS)
    if batch is None:
        return None
    return activity(state.model, lambda: surprise.losses(state.model, batch))


def curvature(
    state: State, surprise: Surprise, texts: Sequence[Content]
) -> tuple[float, float] | None:
    """The lowest and highest, in a block of the last layers' parameters."""
    batch = surprise.batch(state.model, texts, TOKENS)
    if batch is None:
        return None
    block = chosen_block(state.optimizer.parameters.values())
    kept = [p.detach().clone() for p in block]

    def gradient_at(displacement_P: Tensor) -> Tensor:
        with torch.no_grad():
            begin = 0
            for parameter, own in zip(block, kept, strict=True):
                end = begin + own.numel()
                parameter.copy_(own + displacement_P[begin:end].view_as(own))
                begin = end
        return _gradient(state, surprise, batch, block)

    try:
        start_P = gradient_at(torch.zeros(sum(p.numel() for p in block), device=block[0].device))
        size = float(torch.stack([p.norm() for p in kept]).norm())
        return extremes(gradient_at, start_P, size, PRODUCTS)
    finally:
        with torch.no_grad():
            for parameter, own in zip(block, kept, strict=True):
                parameter.copy_(own)


def chosen_block(parameters: Iterable[Parameter]) -> list[Parameter]:
    """The last parameters whose numbers together are within bounds, at least one."""
    block: list[Parameter] = []
    num = 0
    for parameter in reversed(list(parameters)):
        if block and num + parameter.numel() > BLOCK_NUMBERS:
            break
        block.append(parameter)
        num += parameter.numel()
    return block


def _gradient(state: State, surprise: Surprise, batch: Batch, block: Sequence[Parameter]) -> Tensor:
    with torch.enable_grad():
        loss = surprise.losses(state.model, batch).mean()
        gradients = torch.autograd.grad(loss, block)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])
