"""The forward and backward passes of a step: losses for its reports, gradients for its update.

Chunk by chunk, and of each chunk every worker a share, with a copy of the model of its own. So what
a step computes is a function of the lesson and of how many workers there are, not of their speed.

Knows nothing of updates. Called by `step.py`.

N predicted tokens, M anchored positions.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch

from learner import workers
from learner.answered import Answered
from learner.batch import Anchor, Batch, Text, build, chunks, shares
from learner.framing import Framing
from learner.lesson import Lesson
from learner.recipe import Recipe
from learner.replayed import Replayed
from learner.state import State
from learner.strategies.strategy import Losses, Strategy
from learner.working_copies import WorkingCopies
from riverrun.model.decoder import Decoder


class Sums(NamedTuple):
    """Of all chunks: weighted loss, nats a document, mean divergence from the origin.

    answers: of each text of a lesson that asks.
    """

    loss: float
    nats: list[float]
    divergence: float | None
    replayed: Replayed
    answers: list[Answered]


class Gradients:
    """All that stays the same from step to step."""

    def __init__(self, recipe: Recipe, framing: Framing, strategy: Strategy) -> None:
        self._recipe = recipe
        self._is_mixed = recipe.precision == "bfloat16"
        self._framing = framing
        self._strategy = strategy
        self._copies: WorkingCopies | None = None

    def of(self, state: State, lesson: Lesson, is_stopping: Callable[[], bool]) -> Sums | None:
        """Leaves the gradients at the model's parameters. None once `is_stopping` became true: what
        was there by then is left too."""
        copies = self._copies_of(state.model)
        copies.follow()
        device = state.model.output_matrix.device
        loss, divergence, num_anchored = 0.0, 0.0, 0
        nats_by_owner = torch.zeros(len(lesson.shown) + 1, dtype=torch.float64, device=device)
        replayed = Replayed()
        answers: list[Answered] = []
        asks = bool(lesson.recalled) or any(one.asked for one in lesson.shown)
        for texts, anchors in chunks(lesson.texts, lesson.anchors, self._recipe.chunk_tokens):
            if is_stopping():
                return None
            divided = shares(texts, anchors, len(copies.decoders))
            calls = [
                partial(self._share, decoder, share.texts, share.anchors)
                for decoder, share in zip(copies.decoders, divided, strict=False)
            ]
            with nullcontext() if self._strategy.is_pure else workers.undivided():
                found = workers.run(calls)
            copies.hand_over()
            answered: dict[int, Answered] = {}
            for share, (batch, losses) in zip(divided, found, strict=True):
                loss += float(losses.total)
                nats_by_owner.index_add_(0, batch.owners_N, losses.predictions_N.double())
                replayed.see(batch, losses.predictions_N)
                if asks:
                    answered |= zip(share.places, _answers(batch, losses), strict=True)
                if losses.divergences_M is not None:
                    divergence += float(losses.divergences_M.sum())
                    num_anchored += len(losses.divergences_M)
            answers += [answered[place] for place in sorted(answered)]
        mean = divergence / num_anchored if num_anchored else None
        return Sums(loss, nats_by_owner[:-1].tolist(), mean, replayed, answers)

    def _share(
        self, decoder: Decoder, texts: Sequence[Text], anchors: Sequence[Anchor]
    ) -> tuple[Batch, Losses]:
        """Of one worker. Its gradients stay at its decoder."""
        device = decoder.output_matrix.device
        batch = build(self._framing.prefix, texts, anchors, self._recipe.row_tokens, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._is_mixed):
            losses = self._strategy.losses(decoder, batch)
        losses.total.backward()  # type: ignore[no-untyped-call]
        return batch, losses._replace(total=losses.total.detach())

    def _copies_of(self, model: Decoder) -> WorkingCopies:
        is_divisible = self._strategy.is_pure and model.output_matrix.device.type == "cpu"
        num = workers.num_workers() if is_divisible else 1
        copies = self._copies
        if copies is None or copies.model is not model or len(copies.decoders) != num:
            self._copies = copies = WorkingCopies(model, num, is_mixed=self._is_mixed)
        return copies


def _answers(batch: Batch, losses: Losses) -> list[Answered]:
    lengths = [text.example.num_targets for text in batch.texts]
    return [
        Answered(float(one.max()), float(one.mean()))
        for one in torch.split(losses.predictions_N, lengths)
    ]
