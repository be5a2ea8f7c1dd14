"""Which weights learn, and which of them are hidden matrices. Called by `state.py`, `optimizer.py`.

Embeddings and the output matrix are tables of tokens, not maps between hidden states: their rows
get gradients as rarely as their tokens come, so they want a rate of their own and no decay.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch.nn import Parameter

from learner.recipe import Recipe
from riverrun.model.decoder import Decoder

TABLES = ("model.embed_tokens.", "lm_head.")


class Split(NamedTuple):
    """Parameters by name: the matrices of the layers, and tables, norms and biases."""

    hidden: dict[str, Parameter]
    others: dict[str, Parameter]


def learning_parameters(model: Decoder, recipe: Recipe) -> dict[str, Parameter]:
    """The parameters that learn; gradients of all others are switched off."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(recipe.trains_embeddings or not name.startswith(TABLES))
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def split(parameters: Mapping[str, Parameter]) -> Split:
    is_hidden = {n: p.ndim == 2 and not n.startswith(TABLES) for n, p in parameters.items()}
    return Split(
        {n: p for n, p in parameters.items() if is_hidden[n]},
        {n: p for n, p in parameters.items() if not is_hidden[n]},
    )
