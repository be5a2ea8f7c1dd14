"""What texts cost under some weights, in nats, without learning from them.

Knows nothing of which texts or why. Called by the watches that measure, and by the gate.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from learner.batch import Text, build, chunks
from learner.framing import Framing
from learner.losses import logits_at, prediction_losses
from learner.recipe import Recipe
from learner.seeds import random_for
from riverrun.model.decoder import Decoder


@contextlib.contextmanager
def wearing(model: Decoder, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """The model with `weights` in place of its own, by name; nothing is copied but what is of
    another type or device. Whatever happens inside, its own come back."""
    own: dict[str, Tensor] = {}
    try:
        for name, parameter in model.named_parameters():
            if name in weights:
                own[name] = parameter.data
                parameter.data = weights[name].detach().to(parameter.device, parameter.dtype)
        yield
    finally:
        for name, parameter in model.named_parameters():
            if name in own:
                parameter.data = own[name]


class Surprise:
    """How a run shows text to its model, for measuring: plain, in the recipe's precision."""

    def __init__(self, framing: Framing, recipe: Recipe) -> None:
        self._framing = framing
        self._recipe = recipe

    def num_tokens(self, text: str) -> int:
        return self._framing.num_tokens(text)

    @torch.no_grad()
    def nats(self, model: Decoder, texts: Sequence[str]) -> list[float]:
        """Of each text, under the weights that the model wears now."""
        recipe, device = self._recipe, model.output_matrix.device
        unused = random_for(0, 0, "surprise")
        shown = [
            Text(example, 1.0, owner)
            for owner, text in enumerate(texts)
            for example in self._framing.examples(text, 0, unused)
        ]
        nats_by_owner = torch.zeros(len(texts), dtype=torch.float64, device=device)
        is_mixed = recipe.precision == "bfloat16"
        for group, _ in chunks(shown, [], recipe.chunk_tokens):
            batch = build(self._framing.prefix, group, [], recipe.row_tokens, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=is_mixed):
                logits_NV, _ = logits_at(model, batch, anchored=False)
            losses_N = prediction_losses(logits_NV, batch.targets_N)
            nats_by_owner.index_add_(0, batch.owners_N, losses_N.double())
        found: list[float] = nats_by_owner.tolist()
        return found
