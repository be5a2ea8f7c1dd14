"""What texts cost under some weights, in nats, without learning from them.

Knows nothing of which texts or why. Called by the watches that measure, and by the gate.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from learner.batch import Batch, Text, build, chunks
from learner.content import Content
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

    def num_tokens(self, content: Content) -> int:
        return self._framing.num_tokens(content)

    def nats(self, model: Decoder, texts: Sequence[Content]) -> list[float]:
        """Of each text, under the weights that the model wears now."""
        unused = random_for(0, 0, "surprise")
        shown = [
            Text(example, 1.0, owner)
            for owner, text in enumerate(texts)
            for example in self._framing.examples(text, 0, unused)
        ]
        return self.nats_of_examples(model, shown, len(texts))

    @torch.no_grad()
    def nats_of_examples(
        self, model: Decoder, shown: Sequence[Text], num_owners: int
    ) -> list[float]:
        """Of each owner's examples."""
        device = model.output_matrix.device
        nats_by_owner = torch.zeros(num_owners, dtype=torch.float64, device=device)
        for batch in self._batches(model, shown):
            losses_N = self.losses(model, batch)
            nats_by_owner.index_add_(0, batch.owners_N, losses_N.double())
        found: list[float] = nats_by_owner.tolist()
        return found

    @torch.no_grad()
    def token_nats_of_examples(
        self, model: Decoder, shown: Sequence[Text], num_owners: int
    ) -> list[list[float]]:
        """Of each token that an owner's examples predict, in order."""
        found: list[list[float]] = [[] for _ in range(num_owners)]
        for batch in self._batches(model, shown):
            losses: list[float] = self.losses(model, batch).tolist()
            for owner, nats in zip(batch.owners_N.tolist(), losses, strict=True):
                found[owner].append(nats)
        return found

    def _batches(self, model: Decoder, shown: Sequence[Text]) -> Iterator[Batch]:
        recipe, device = self._recipe, model.output_matrix.device
        for group, _ in chunks(shown, [], recipe.chunk_tokens):
            yield build(self._framing.prefix, group, [], recipe.row_tokens, device)

    def batch(self, model: Decoder, texts: Sequence[Content], most_tokens: int) -> Batch | None:
        """One forward pass's worth of the texts, at most about `most_tokens`; None if empty."""
        unused = random_for(0, 0, "surprise")
        examples = [e for text in texts for e in self._framing.examples(text, 0, unused)]
        chosen: list[Text] = []
        for example in examples:
            if chosen and sum(len(t.example.tokens) for t in chosen) >= most_tokens:
                break
            chosen.append(Text(example, 1.0, 0))
        if not chosen:
            return None
        device = model.output_matrix.device
        return build(self._framing.prefix, chosen, [], self._recipe.row_tokens, device)

    def losses(self, model: Decoder, batch: Batch) -> Tensor:
        """Nats of each predicted token of a batch, (N,); with gradients where they are on."""
        is_mixed = self._recipe.precision == "bfloat16"
        with torch.autocast(batch.targets_N.device.type, torch.bfloat16, enabled=is_mixed):
            logits_NV, _ = logits_at(model, batch, anchored=False)
        return prediction_losses(logits_NV, batch.targets_N)
