"""Tasks put to a model: a group in a few forward passes, questions in writing.

A likelihood is per byte of the ending, so that a long one is not unlikely for its length alone.

Knows nothing of files or time. Called by `examiner.py`.
"""

import math
from collections.abc import Sequence

from learner.batch import Text
from learner.framing import Example, Framing, cut, turn_end
from learner.probes.tasks import Cloze, Prose, Question, Task, Tendency
from learner.seeds import random_for
from learner.watch.surprise import Surprise
from riverrun.beginnings import num_shared
from riverrun.model.decoder import Decoder
from riverrun.model.write import write

ANSWER_TOKENS = 24
NOT_FINITE = 1e6
"""As bad as can be: a loss is high, a margin low."""
MOST_PERPLEXITY = 1.25
"""Of a text, over the untouched model's."""


class Scorer:
    """Of one model's tokenizer."""

    def __init__(self, framing: Framing, surprise: Surprise) -> None:
        self._framing = framing
        self._surprise = surprise

    def num_tokens(self, tasks: Sequence[Task]) -> int:
        """About what a run costs, in tokens."""
        tokens = sum(len(e.tokens) for task in tasks for e in self._examples(task))
        return tokens + sum(ANSWER_TOKENS for task in tasks if isinstance(task, Question))

    def scores(self, model: Decoder, tasks: Sequence[Task]) -> list[float]:
        """Of each task, under the weights that the model wears: the margin by which the right
        ending is likelier (nats a byte), 1 or -1 for a question, nats a token for a text."""
        shown = [
            Text(example, 1.0, owner)
            for owner, example in enumerate(e for task in tasks for e in self._examples(task))
        ]
        nats = self._surprise.nats_of_examples(model, shown, len(shown))
        written = iter(self._answers(model, [t for t in tasks if isinstance(t, Question)]))
        found: list[float] = []
        first = 0
        for task in tasks:
            own = nats[first : first + len(self._examples(task))]
            num_targets = [t.example.num_targets for t in shown[first : first + len(own)]]
            first += len(own)
            match task:
                case Cloze():
                    found.append(_margin(own, [task.right, *task.wrong]))
                case Tendency():
                    found.append(_margin(own, [task.prefers, task.over]))
                case Question():
                    answer = next(written).casefold()
                    is_right = any(one.casefold() in answer for one in task.answers)
                    found.append(1.0 if is_right else -1.0)
                case Prose():
                    found.append(sum(own) / sum(num_targets))
        return [
            score if math.isfinite(score) else NOT_FINITE * (1 if isinstance(task, Prose) else -1)
            for task, score in zip(tasks, found, strict=True)
        ]

    def prompt_nats(self, model: Decoder, tasks: Sequence[Task]) -> list[list[float]]:
        """Of each token of what stands before each task's answer, after what all prompts have in
        common; of a text, of all of it."""
        shown = [
            Text(example, 1.0, owner)
            for owner, task in enumerate(tasks)
            for example in self._prompts(task)
        ]
        return self._surprise.token_nats_of_examples(model, shown, len(tasks))

    def _prompts(self, task: Task) -> list[Example]:
        if isinstance(task, Prose):
            return self._examples(task)
        asked = self._asked(task.prompt, chat=task.chat)
        common = max(1, num_shared(asked, self._framing.prefix, len(asked) - 1))
        own = self._framing.told(asked[:common], asked[common:])
        return cut(own, self._framing.block_tokens)

    def _examples(self, task: Task) -> list[Example]:
        match task:
            case Cloze():
                endings = [task.right, *task.wrong]
                return [self._told(task.prompt, ending, chat=task.chat) for ending in endings]
            case Tendency():
                endings = [task.prefers, task.over]
                return [self._told(task.prompt, ending, chat=task.chat) for ending in endings]
            case Question():
                return []
            case Prose():
                return self._framing.examples(task.text, 0, random_for(0, 0, "probe"))

    def _told(self, prompt: str, ending: str, *, chat: bool) -> Example:
        tokens = self._framing.tokenizer.encode(ending)
        example = self._framing.told(self._asked(prompt, chat=chat), tokens)
        return cut(example, self._framing.block_tokens)[-1]

    def _asked(self, prompt: str, *, chat: bool) -> list[int]:
        tokenizer = self._framing.tokenizer
        if not chat:
            return [self._framing.end_id, *tokenizer.encode(prompt)]
        if tokenizer.has_chat_template:
            return tokenizer.chat([{"role": "user", "content": prompt}])
        return [self._framing.end_id, *tokenizer.encode(f"Question: {prompt}\nAnswer:")]

    def _answers(self, model: Decoder, questions: Sequence[Question]) -> list[str]:
        if not questions:
            return []
        written = write(
            model,
            [self._asked(q.prompt, chat=q.chat) for q in questions],
            max_tokens=ANSWER_TOKENS,
            temperature=0.0,
            stop_ids={turn_end(self._framing.tokenizer)},
        )
        return [self._framing.tokenizer.decode(tokens) for tokens in written]


def _margin(nats: Sequence[float], endings: Sequence[str]) -> float:
    right, *wrong = (one / len(ending.encode()) for one, ending in zip(nats, endings, strict=True))
    return min(wrong) - right


def passed(tasks: Sequence[Task], scores: Sequence[float], untouched: Sequence[float]) -> str:
    """A `1` or `0` a task."""
    found = ""
    for task, score, before in zip(tasks, scores, untouched, strict=True):
        if isinstance(task, Prose):
            is_passed = 0 <= score <= before + math.log(MOST_PERPLEXITY)
        else:
            is_passed = score > 0
        found += "1" if is_passed else "0"
    return found
