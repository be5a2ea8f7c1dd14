"""The words of a text, and those of them that name something. Called by the study modules."""

import re

WORD = re.compile(r"\w[\w.'’-]*\w|\w")


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
