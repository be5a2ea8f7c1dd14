"""What counts as a word, in scripts with spaces and without.

Called by the stages that count words, and by the fingerprint.
"""

import re

LETTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"

UNSPACED = re.compile(f"[{LETTERS}]")
"""A letter of a script that puts no spaces between words: Thai, Lao, Burmese, Khmer, Chinese and
Japanese."""

TOKEN = re.compile(rf"[{LETTERS}]|[^\s{LETTERS}]+")
"""A letter of such a script, or a word of another among them."""

UNSPACED_SHARE = 0.3
SAMPLE_CHARACTERS = 4000
CHARACTERS_PER_WORD = 2
"""In Chinese 1.5 to 2, in Japanese 2, in Thai 4."""


def is_unspaced(text: str) -> bool:
    """Whether most of a text (its beginning is asked) is written without spaces between words."""
    if text.isascii():
        return False
    sample = text[:SAMPLE_CHARACTERS]
    return len(UNSPACED.findall(sample)) > UNSPACED_SHARE * len(sample)


def num_words(words: list[str], unspaced: bool) -> int:
    """How many words a text has; `words` is `text.split()`."""
    if not unspaced:
        return len(words)
    return max(len(words), sum(map(len, words)) // CHARACTERS_PER_WORD)
