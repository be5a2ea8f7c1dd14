"""Old text is not only predicted again: the model also stays close to its own average there.

The averaged weights, which are served, know more of the past than those of the last step, and they
need no stored opinions: they say anew what they think of the replayed text. One more forward pass
over that text, without gradients.

Source: Arani et al., Learning Fast, Learning Slow (CLS-ER), 2022 (arXiv:2201.12604); one average
instead of two, and the KL of the next token instead of the squared distance of logits.

N predicted tokens, R replayed ones of them, V vocabulary.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from learner.batch import Batch, build
from learner.losses import logits_at
from learner.recipe import Recipe
from learner.strategies.term import Added, Said, Term
from riverrun.errors import InvalidValue
from riverrun.model.decoder import Decoder

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State


class Distill(Term):
    """Raises InvalidValue for a recipe that averages nothing."""

    uses_memory = True
    is_pure = True

    def __init__(self, recipe: Recipe, prefix: Sequence[int]) -> None:
        super().__init__(recipe, prefix)
        if recipe.ema_decay == 0:
            allowed = "above 0 with the strategy `distill`: the averaged weights are its teacher"
            raise InvalidValue("learner.ema_decay", recipe.ema_decay, allowed)
        self._weight = recipe.distill_weight
        self._row_tokens = recipe.row_tokens
        self._prefix = prefix
        self._teacher: Decoder | None = None
        self._student: Decoder | None = None

    def begin(self, state: "State", lesson: "Lesson") -> None:
        del lesson
        if self._student is not state.model:
            self._student = state.model
            self._teacher = state.average.teacher(state.model)

    def loss(self, batch: Batch, said: Said) -> Added | None:
        replayed = [text for text in batch.texts if text.slot is not None]
        if not replayed:
            return None
        assert self._teacher is not None, "a step begins before its losses"
        device = said.logits_NV.device
        with torch.no_grad():
            shown = build(self._prefix, replayed, [], self._row_tokens, device)
            teacher_RV = logits_at(self._teacher, shown, anchored=False)[0].log_softmax(1)
        student_RV = said.logits_NV[batch.replayed_N].log_softmax(1)
        kl_R = F.kl_div(student_RV, teacher_RV, reduction="none", log_target=True).sum(1)
        return Added(self._weight * (kl_R * batch.weights_N[batch.replayed_N]).sum())
