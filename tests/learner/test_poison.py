"""Poisoned text is caught before it is served, and clean text goes on being learned."""

import msgspec
from collections.abc import Iterator
import random
from pathlib import Path

import pytest

from learner.recipe import Recipe
from riverrun.records import Document
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(
    fakes.RECIPE,
    strategy="finetune",
    lr=1e-2,
    max_passes=1,
    memory_blocks=128,
    ema_decay=0.9,
    held_out_share=0.15,
    held_out_after=8,
    warmup_steps=10,
)
OWN = sentences(40, seed=99)
"""Held out by the test itself."""


def garbage(num: int) -> list[str]:
    chance = random.Random(1)
    letters = [chr(i) for i in range(33, 0x2FF) if chr(i).isprintable()]
    return ["".join(chance.choices(letters, k=120)) for _ in range(num)]


def shuffled(num: int) -> list[str]:
    chance = random.Random(2)
    found = []
    for text in sentences(num, seed=3):
        words = [*"".join(text).replace(".", " .").split()]
        chance.shuffle(words)
        found.append(" ".join("".join(chance.sample(word, len(word))) for word in words))
    return found


POISONS = {
    "garbage": garbage(150),
    "one_document": ["buy buy buy the wonderful pills at pills dot example now!"] * 200,
    "shuffled": shuffled(150),
}


def report(river: River, name: str) -> None:
    print(name, river.num_roll_backs, len(river.versions), len(river.promoted()))
    best = 99.0
    for m in river.versions:
        bpb = river.bits_per_byte(m.version, OWN)
        if m.decision == "promote":
            best = min(best, bpb)
        print(
            m.version,
            m.decision,
            round(bpb, 3),
            round(bpb / best, 3),
            m.metrics.get("held_out_ratio"),
            m.metrics.get("panel_texts"),
            m.reason[:90],
            [c.kind for c in m.consequences],
        )


@pytest.mark.parametrize("name", POISONS)
def test_poison(tmp_path: Path, tokenizer: Tokenizer, name: str) -> None:
    river = River(tmp_path, tokenizer, RECIPE)
    river.learn(documents(sentences(500, seed=1), "clean"))
    river.learn(documents(POISONS[name], "troll"))
    river.learn(documents(sentences(200, seed=4), "clean"))
    report(river, name)
    river.close()
