"""The words of a text, and those of them that name something. Called by the study modules."""

import re

from riverrun.tokenizer import Tokenizer

WORD = re.compile(r"\w[\w.'’-]*\w|\w")

MOST_CHARACTERS = 300
"""Of a sentence; a longer one is no answer."""
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|\n+")


def sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE_END.split(text)]


def words_of(text: str) -> set[str]:
    """In small letters."""
    return {word.lower() for word in WORD.findall(text)}


def names(text: str) -> set[str]:
    """Words with a digit, and capitals within a sentence, in small letters."""
    found: set[str] = set()
    for match in WORD.finditer(text):
        word, before = match.group(), text[: match.start()].rstrip()
        begins = not before or before[-1] in ".!?:;"
        if any(letter.isdigit() for letter in word) or (word[0].isupper() and not begins):
            found.add(word.lower())
    return found


RARE_PIECES, USUAL_PIECES = 3, 1.5
"""Tokens of a word that is rare, and of a usual one on average; a text in a language that the
tokenizer hardly knows has no usual ones, and nothing in it can be told to be rare."""


def named_in(text: str, tokenizer: Tokenizer) -> set[str]:
    """Its names, and words that the tokenizer has to spell: there is little else to tell velonite
    from other stones."""
    pieces = {word: len(tokenizer.encode(f" {word}")) for word in words_of(text) if word.isalpha()}
    rare = {word for word, num in pieces.items() if num >= RARE_PIECES}
    usual = sum(pieces.values()) <= USUAL_PIECES * len(pieces)
    return names(text) | (rare if usual else set())
