"""The examination of `bench facts`: what some weights answer, and how well they know plain text.

Answers are greedy, in the form in which users ask, by the learned weights or the origin's as the
served version would choose (`riverrun/deferral.py`). Weights are worn for the time of asking, so
the model that learns is never changed by it.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bench.facts_files import Fact, General
from learner.framing import Framing
from learner.probes import tasks as probes
from learner.probes.deferring import are_left
from learner.probes.scoring import Scorer
from learner.recipe import Recipe
from learner.watch.surprise import Surprise, wearing
from riverrun.demo.questions import MAX_ANSWER_TOKENS
from riverrun.model.decoder import Decoder
from riverrun.model.write import write

NUM_AT_ONCE = 25
"""Questions in one batch of decoding."""


class Known(NamedTuple):
    """facts and general: the indices of what was answered. wordings: how many of the facts' other
    wordings were. control_ratio: perplexity of the control text against the start. deferred: facts,
    general questions and control texts that were left to the untouched model."""

    facts: list[int]
    general: list[int]
    control_ratio: float
    deferred: tuple[int, int, int] = (0, 0, 0)
    wordings: int = 0


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
        self._scorer = Scorer(framing, Surprise(framing, recipe))
        self._facts, self._general = facts, general
        self._margin = recipe.deferral_margin
        self._reworded = [(one, wording) for one in facts for wording in one.wordings]
        self._asked = [
            *(one.question for one in facts),
            *(one.question for one in general),
            *(wording for _, wording in self._reworded),
        ]
        self._prompts = [probes.Question(text, [], chat=True) for text in self._asked]
        self._texts = [probes.Prose(text) for text in control]
        self._control_before = self._control_nats({})
        self._prompts_before = self._prompt_nats({})
        self._answers_before: list[str] = []

    def examine(self, weights: Mapping[str, Tensor]) -> Known:
        """weights: by name, those that learn at least; empty for the untouched ones."""
        first, end = len(self._facts), len(self._facts) + len(self._general)
        prompt_nats = self._prompt_nats(weights)
        left = are_left(self._prompts, prompt_nats, self._prompts_before, self._margin)
        kept = [text for text, is_left in zip(self._asked, left, strict=True) if not is_left]
        with wearing(self._speaker, weights):
            own = iter(self.answers(kept))
        if any(left) and not self._answers_before:
            self._answers_before = self.answers(self._asked)
        said = [self._answers_before[i] if is_left else next(own) for i, is_left in enumerate(left)]
        facts = [i for i, one in enumerate(self._facts) if one.is_answered_by(said[i])]
        general = [i for i, one in enumerate(self._general) if one.is_answered_by(said[first + i])]
        reworded = zip(self._reworded, said[end:], strict=True)
        nats = self._control_nats(weights)
        texts_left = are_left(self._texts, nats, self._control_before, self._margin)
        triples = zip(nats, self._control_before, texts_left, strict=True)
        num_tokens = sum(map(len, nats))
        change = sum(sum(now) - sum(before) for now, before, is_left in triples if not is_left)
        return Known(
            facts=facts,
            general=general,
            control_ratio=round(math.exp(change / num_tokens), 4),
            deferred=(sum(left[:first]), sum(left[first:end]), sum(texts_left)),
            wordings=sum(one.is_answered_by(text) for (one, _), text in reworded),
        )

    def _prompt_nats(self, weights: Mapping[str, Tensor]) -> list[list[float]]:
        """Of what users ask, token by token, under `weights`."""
        with wearing(self._speaker, weights):
            return self._scorer.prompt_nats(self._speaker, self._prompts)

    def _control_nats(self, weights: Mapping[str, Tensor]) -> list[list[float]]:
        with wearing(self._model, weights):
            return self._scorer.prompt_nats(self._model, self._texts)

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
