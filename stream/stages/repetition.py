"""Texts that say little in many words: the same lines, the same runs of words.

Rejects, changes nothing. Source: the repetition rules of Gopher (Rae et al. 2021, table A1) and the
duplicate-character rule of FineWeb. Differs: runs of five words stand for Gopher's five to ten,
since a longer run that repeats holds a shorter one that does; what is said twice is no top run;
counts over text without spaces take characters as words. Called by the pipeline.
"""

import itertools
from collections import Counter

from riverrun.records import Reason
from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft
from stream.rejected import Rejected
from stream.stages.words import TOKEN, is_unspaced

MIN_WORDS = 20
"""Below this a share of runs says nothing: three words said twice are half of six."""

MIN_TIMES = 3
"""What is said twice is no top run."""

UNSPACED_RUN = 10
"""Characters that are as long as five words."""

TOP_NGRAMS = ((2, 1.0), (3, 0.9), (4, 0.8))
"""Words in a run, and the part of `max_top_ngram_share` that they may have (0.20, 0.18, 0.16)."""


def refuse_repetition(draft: Draft, profile: ProfileSettings) -> Draft:
    """The same draft. Raises Rejected: repeated_lines, repeated_words."""
    lines(draft.text, profile)
    words = draft.text.split()
    unspaced = is_unspaced(draft.text)
    if unspaced:
        words = TOKEN.findall(draft.text)
    if len(words) >= MIN_WORDS:
        pairs = Counter(itertools.pairwise(words))
        top_ngram(words, pairs, profile.max_top_ngram_share)
        length = UNSPACED_RUN if unspaced else 5
        largest = profile.max_duplicate_ngram_share
        # A run that stood before is pairs that stood before, one fewer than it has words.
        num_repeated = len(words) - 1 - len(pairs)
        if num_repeated > largest * len(words) * (length - 1) / length:
            duplicate_ngrams(words, length, largest)
    return draft


def lines(text: str, profile: ProfileSettings) -> None:
    """Raises Rejected when too much of the text is lines that stood before."""
    largest = profile.max_duplicate_line_share, profile.max_duplicate_line_characters
    if largest == (1, 1) or "\n" not in text:
        return
    all_lines = [line for line in map(str.strip, text.split("\n")) if line]
    distinct = set(all_lines)
    if len(distinct) == len(all_lines):
        return
    share = 1 - len(distinct) / len(all_lines)
    if share > largest[0]:
        raise too_much("repeated_lines", "lines that stood before", share, largest[0])
    share = 1 - sum(map(len, distinct)) / sum(map(len, all_lines))
    if share > largest[1]:
        raise too_much("repeated_lines", "characters in repeated lines", share, largest[1])


def top_ngram(words: list[str], pairs: Counter[tuple[str, str]], largest: float) -> None:
    """Raises Rejected when one run of two to four words makes up too much of the text."""
    frequent = {pair: count for pair, count in pairs.items() if count >= MIN_TIMES}
    if largest >= 1 or not frequent:
        return
    num_characters = sum(map(len, words)) + len(words)
    longest = max(map(len, words))
    # A longer run begins with a pair that occurs as often or more.
    most = [count * (len(pair[0]) + len(pair[1]) + 1) for pair, count in frequent.items()]
    for length, part in TOP_NGRAMS:
        limit = part * largest * num_characters
        more = (length - 2) * (longest + 1)
        bounds = zip(most, frequent.values(), strict=True)
        if all(size + count * more <= limit for size, count in bounds):
            continue
        runs = zip(*(words[start:] for start in range(length)), strict=False)
        for run, count in Counter(run for run in runs if run[:2] in frequent).items():
            size = count * (sum(map(len, run)) + length - 1)
            if count >= MIN_TIMES and size > limit:
                what = f"{' '.join(run)[:60]!r}, {count} times,"
                raise too_much("repeated_words", what, size / num_characters, part * largest)


def duplicate_ngrams(words: list[str], length: int, largest: float) -> None:
    """Raises Rejected when too many words lie in runs that stood before."""
    runs = zip(*(words[start:] for start in range(length)), strict=False)
    seen = set()
    covered, repeated_to = 0, 0
    for start, run in enumerate(runs):
        if run in seen:
            covered += start + length - max(start, repeated_to)
            repeated_to = start + length
        else:
            seen.add(run)
    share = covered / len(words)
    if share > largest:
        raise too_much(
            "repeated_words", f"words in runs of {length} that stood before", share, largest
        )


def too_much(reason: Reason, what: str, share: float, largest: float) -> Rejected:
    return Rejected(reason, f"{what} are {share:.0%} of the text; at most {largest:.0%} may be")
