"""The examination of `bench facts`: what some weights answer, and how well they know plain text.

Answers are greedy, in the form in which users ask. Weights are worn for the time of asking, so the
model that learns is never changed by it.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bench.facts_files import Fact, General
from learner.framing import Framing
from learner.recipe import Recipe
from learner.watch.surprise import Surprise, wearing
from riverrun.demo.questions import MAX_ANSWER_TOKENS
from riverrun.model.decoder import Decoder
from riverrun.model.write import write

NUM_AT_ONCE = 25
"""Questions in one batch of decoding."""


class Known(NamedTuple):
    """facts and general: the indices of what was answered. control_ratio: perplexity of the
    control text against the start."""

    facts: list[int]
    general: list[int]
    control_ratio: float


class Examiner:
    """Asks always the same; made with the untouched model, to which it compares."""

    def __init__(
        self,
        model: Decoder,
        framing: Framing,
        recipe: Recipe,
        facts: Sequence[Fact],
        general: Sequence[General],
        control: Sequence[str],
    ) -> None:
        self._framing = framing
        self._model = model
        # As it is served: in bfloat16 where versions are published so.
        dtype = torch.bfloat16 if recipe.publish_dtype == "bfloat16" else torch.float32
        self._speaker = copy.deepcopy(model).to(dtype).requires_grad_(False)
        self._surprise = Surprise(framing, recipe)
        self._facts, self._general, self._control = facts, general, control
        self._num_control = sum(framing.num_tokens(text) - 1 for text in control)
        self._nats_before = self._control_nats({})

    def examine(self, weights: Mapping[str, Tensor]) -> Known:
        """weights: by name, those that learn at least; empty for the untouched ones."""
        with wearing(self._speaker, weights):
            facts = self.answered_facts(range(len(self._facts)))
            answers = self.answers([one.question for one in self._general])
        general = [
            i
            for i, (one, said) in enumerate(zip(self._general, answers, strict=True))
            if one.is_answered_by(said)
        ]
        nats = self._control_nats(weights)
        return Known(facts, general, round(math.exp(nats - self._nats_before), 4))

    def answered_facts(self, which: Sequence[int], *, with_documents: bool = False) -> list[int]:
        """Those of the facts that are answered right by the weights worn now.

        with_documents: with the fact's own documents in the prompt, which is the upper bound.
        """
        questions = [
            "\n".join([*self._facts[i].documents, "", self._facts[i].question])
            if with_documents
            else self._facts[i].question
            for i in which
        ]
        said = self.answers(questions)
        return [
            i for i, text in zip(which, said, strict=True) if self._facts[i].is_answered_by(text)
        ]

    def answers(self, questions: Sequence[str]) -> list[str]:
        tokenizer = self._framing.tokenizer
        texts: list[str] = []
        for first in range(0, len(questions), NUM_AT_ONCE):
            written = write(
                self._speaker,
                [
                    self._framing.asked(question)
                    for question in questions[first : first + NUM_AT_ONCE]
                ],
                max_tokens=MAX_ANSWER_TOKENS,
                temperature=0.0,
                stop_ids=tokenizer.eos_ids,
            )
            texts += [tokenizer.decode(tokens) for tokens in written]
        return texts

    def _control_nats(self, weights: Mapping[str, Tensor]) -> float:
        """Nats a token."""
        with wearing(self._model, weights):
            return sum(self._surprise.nats(self._model, self._control)) / self._num_control
