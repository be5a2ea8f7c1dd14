"""Real text in three languages, where this machine has it; else made from small vocabularies."""

import functools
import gzip
import os
import random
from pathlib import Path

import msgspec

DATA = Path(os.environ.get("TEST_DATA", "../shared/data"))

WORDS = {
    "en": "the of and to in is that for it was on are as with his they at be this from have or",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se",
}


class Line(msgspec.Struct):
    text: str
    source: str


@functools.cache
def manpages(language: str) -> list[str]:
    """Of `en`, `de` or `fr`, at least 150 texts of a kilobyte or more."""
    path = DATA / "manpages.jsonl.gz"
    if path.exists():
        lines = gzip.decompress(path.read_bytes()).splitlines()
        told = [msgspec.json.decode(line, type=Line) for line in lines]
        return [line.text for line in told if line.source == language]
    chance = random.Random(language)
    words = WORDS[language].split()
    stems = ["".join(chance.choices("abcdefghilmnoprstu", k=6)) for _ in range(300)]
    return [
        " ".join(chance.choice(words if chance.random() < 0.5 else stems) for _ in range(200))
        for _ in range(250)
    ]


@functools.cache
def changelogs() -> list[str]:
    """Short notes with heavy tails, in no order."""
    path = DATA / "changelogs.jsonl.gz"
    if not path.exists():
        return [text[:400] for text in manpages("en")] * 8
    lines = gzip.decompress(path.read_bytes()).splitlines()
    return [msgspec.json.decode(line, type=Line).text for line in lines]
