"""Old text comes back with what the model thought of it when it was new.

Beside each token of the memory lie the K most likely next tokens of that moment and their
log-probabilities, from the very forward pass that learned the text. Replayed text is predicted, and
the KL from the stored opinion to today's is kept small.

Source: Buzzega et al., Dark Experience for General Continual Learning (DER++), 2020
(arXiv:2004.07211); top K and all others as one, instead of all logits (a vocabulary of 49,152 would
be 200 kB a token), and the KL instead of the squared distance.

N predicted tokens, R replayed ones whose opinion is stored, K kept, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from learner.batch import Batch
from learner.losses import divergences
from learner.memory import Extra, Memory, Placed
from learner.recipe import Recipe
from learner.strategies.term import Added, Said, Term

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State

IDS, LOGPROBS = "dark_ids", "dark_logprobs"


class Dark(Term):
    uses_memory = True

    def __init__(self, recipe: Recipe, prefix: Sequence[int]) -> None:
        super().__init__(recipe, prefix)
        self._weight = recipe.dark_weight
        self._top_k = recipe.dark_top_k
        self._memory: Memory | None = None
        self._is_news = False
        self._opinions: dict[int, list[tuple[Tensor, Tensor]]] = {}

    @property
    def extras(self) -> Mapping[str, Extra]:
        return {
            IDS: Extra(self._top_k, torch.int32),
            LOGPROBS: Extra(self._top_k, torch.float16),
        }

    def begin(self, state: "State", lesson: "Lesson") -> None:
        self._memory = state.memory
        self._is_news = lesson.work == "new"
        self._opinions = {}

    def loss(self, batch: Batch, said: Said) -> Added | None:
        if self._is_news:
            self._note(batch, said.logits_NV.detach())
        assert self._memory is not None, "a step begins before its losses"
        slots = np.array([t.slot for t in batch.texts if t.slot is not None], np.int64)
        if not len(slots):
            return None
        device = said.logits_NV.device
        has_opinion = self._memory.has(slots, IDS)
        is_known = iter(has_opinion.tolist())
        is_compared_N = torch.tensor(
            [
                known
                for text in batch.texts
                for known in [text.slot is not None and next(is_known)]
                for _ in range(text.example.num_targets)
            ],
            device=device,
        )
        if not bool(has_opinion.any()):
            return None
        kl_R = divergences(
            said.logits_NV[is_compared_N],
            self._memory.stored(slots[has_opinion], IDS).to(device).long(),
            self._memory.stored(slots[has_opinion], LOGPROBS).to(device).float(),
        )
        return Added(self._weight * (kl_R * batch.weights_N[is_compared_N]).sum())

    def remembered(self, state: "State", owner: int, placed: Placed) -> None:
        noted = self._opinions.get(owner, [])
        for index, slot in zip(placed.kept.tolist(), placed.slots.tolist(), strict=True):
            ids_NK, logprobs_NK = noted[index]
            if bool(logprobs_NK.isfinite().all()):
                slots = np.array([slot], np.int64)
                state.memory.store(slots, IDS, ids_NK)
                state.memory.store(slots, LOGPROBS, logprobs_NK)

    def _note(self, batch: Batch, logits_NV: Tensor) -> None:
        """The opinions on new texts, by document, in the order of their examples."""
        width = min(self._top_k, logits_NV.shape[1])
        start = 0
        for text in batch.texts:
            end = start + text.example.num_targets
            if text.slot is None:
                logprobs_NV = logits_NV[start:end].log_softmax(1)
                values_NK, ids_NK = logprobs_NV.topk(width, dim=1)
                self._opinions.setdefault(text.owner, []).append((ids_NK, values_NK))
            start = end
