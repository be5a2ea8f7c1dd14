"""The texts of the origin memory: written by the model itself, or named by the operator.

A model with a chat template is given the beginning of a question, finishes it, and answers: that is
what its users will ask of it. As many texts it writes from nothing, as prose: what it learns is
mostly questions, so prose, which nothing else holds, could break within a few steps (perplexity of
control text twelve times the origin's; docs/experiments.md). A model without a template continues
the beginnings alone. They stand in `origin_prompts.txt`, one a line.

Knows nothing of log-probabilities (`origin.py`). Called by `main.py` before the first step.
"""

from collections.abc import Callable, Sequence
from importlib import resources
from itertools import zip_longest
from pathlib import Path

import msgspec
import torch

from learner.framing import Example, Framing, cut, turn_end
from learner.recipe import Recipe
from learner.seeds import random_for, seed_of
from learner.speaker import speaker_of
from riverrun.errors import InvalidValue
from riverrun.model.decoder import Decoder
from riverrun.model.write import write

QUESTION_TOKENS = 16
ANSWER_TOKENS = 24
"""Longer answers wander; most facts that a short question asks for are within this."""
TOP_P = 0.95
WRITTEN_AT_ONCE = 24
"""Texts between two looks at whether the learner should stop: about five seconds of SmolLM2."""


def origin_examples(
    model: Decoder, framing: Framing, recipe: Recipe, seed: int, is_stopping: Callable[[], bool]
) -> list[Example]:
    """At most `recipe.origin_texts` examples; fewer when stopped, or when the model repeats itself.

    Raises InvalidValue when the operator's file cannot be used.
    """
    if recipe.origin_file is not None:
        return from_file(framing, recipe, seed)
    generator = torch.Generator(device=model.output_matrix.device)
    generator.manual_seed(seed_of(seed, 0, "origin"))
    speaker = speaker_of(model, recipe)
    told: dict[tuple[int, ...], Example] = {}
    starts = beginnings()
    converses = framing.tokenizer.has_chat_template
    num = WRITTEN_AT_ONCE // 2 if converses else WRITTEN_AT_ONCE
    # Half as many again at most: a question may come twice, or never end.
    for first in range(0, recipe.origin_texts * 3 // 2, num):
        if len(told) >= recipe.origin_texts or is_stopping():
            break
        some = [starts[(first + i) % len(starts)] for i in range(num)]
        if converses:
            talk = answered(speaker, framing, some, generator)
            prose = continued(speaker, framing, [""] * len(talk), generator)
            examples = [example for two in zip_longest(talk, prose) for example in two if example]
        else:
            examples = continued(speaker, framing, some, generator)
        for example in examples:
            told.setdefault(tuple(example.tokens), example)
    return [cut(e, recipe.block_tokens)[0] for e in told.values()][: recipe.origin_texts]


def beginnings() -> list[str]:
    text = resources.files("learner").joinpath("origin_prompts.txt").read_text(encoding="utf-8")
    return text.splitlines()


def continued(
    model: Decoder, framing: Framing, starts: Sequence[str], generator: torch.Generator
) -> list[Example]:
    """What the model makes of beginnings of texts, which may be empty."""
    tokenizer = framing.tokenizer
    begun = [[framing.end_id, *tokenizer.encode(start)] for start in starts]
    texts = write(
        model,
        begun,
        max_tokens=QUESTION_TOKENS + ANSWER_TOKENS,
        top_p=TOP_P,
        generator=generator,
        stop_ids=tokenizer.eos_ids,
    )
    return [framing.told(start, text) for start, text in zip(begun, texts, strict=True) if text]


def answered(
    model: Decoder, framing: Framing, starts: Sequence[str], generator: torch.Generator
) -> list[Example]:
    """Questions that the model makes of their beginnings, with its answers; those that it does not
    finish are left out."""
    tokenizer = framing.tokenizer
    openings = [opened(framing, start) for start in starts]
    rests = write(
        model,
        openings,
        max_tokens=QUESTION_TOKENS,
        top_p=TOP_P,
        generator=generator,
        stop_ids=tokenizer.eos_ids,
    )
    asked = [
        question
        for start, rest in zip(starts, rests, strict=True)
        if (question := finished(start + tokenizer.decode(rest))) is not None
    ]
    if not asked:
        return []
    questions = [tokenizer.chat([{"role": "user", "content": question}]) for question in asked]
    answers = write(
        model,
        questions,
        max_tokens=ANSWER_TOKENS,
        temperature=0.0,
        stop_ids=tokenizer.eos_ids,
    )
    end = turn_end(tokenizer)
    return [
        framing.told(question, [*answer, end] if len(answer) < ANSWER_TOKENS else answer)
        for question, answer in zip(questions, answers, strict=True)
    ]


def opened(framing: Framing, start: str) -> list[int]:
    """A conversation in which the user has said `start` and goes on speaking."""
    return [*framing.prefix, *framing.tokenizer.encode(start)]


def finished(text: str) -> str | None:
    """The question at the beginning of `text`; None when it does not end."""
    line = text.strip().split("\n")[0]
    return line[: line.index("?") + 1] if "?" in line else None


def from_file(framing: Framing, recipe: Recipe, seed: int) -> list[Example]:
    """The operator's texts, shown as documents are; a random choice when there are too many."""
    assert recipe.origin_file is not None
    random = random_for(seed, 0, "origin file")
    texts = texts_of(Path(recipe.origin_file))
    order = random.permutation(len(texts))[: recipe.origin_texts]
    return [framing.examples(texts[i], 0, random)[0] for i in sorted(order)]


def texts_of(path: Path) -> list[str]:
    """One text a line, plain or as JSON with `text`; empty lines are skipped."""
    field, allowed = "learner.origin_file", "a UTF-8 file with a text, or JSON with `text`, a line"
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        texts = [
            msgspec.json.decode(line, type=TextLine).text if line.startswith("{") else line
            for line in lines
        ]
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidValue(field, str(path), f"{allowed} ({error})") from error
    if not texts:
        raise InvalidValue(field, str(path), allowed)
    return texts


class TextLine(msgspec.Struct):
    text: str
