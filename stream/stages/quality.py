"""Whether a text reads like text: rules of Gopher, C4 and FineWeb, each behind a threshold.

Rejects, changes nothing. Rules about words are not asked of scripts without spaces, and the
stop-word rule only of languages whose stop words we have. Source: Gopher (Rae et al. 2021, A1.1),
C4 (Raffel et al. 2020, 2.2), FineWeb (Penedo et al. 2024, 3.6). Differs: punctuation of all scripts
ends a line; a language that is not known has no stop words to miss. Called by the pipeline.
"""

import string

from riverrun.records import Reason
from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft
from stream.rejected import Rejected
from stream.stages.language import primary
from stream.stages.stop_words import STOP_WORDS
from stream.stages.words import is_unspaced, num_words

LINE_ENDS = tuple(".!?…\"'”’»)]:;。！？」』）」：；؟۔।၊။។")
BULLETS = ("-", "*", "•", "‣", "◦", "–", "·")
ELLIPSES = ("...", "…")
LETTERS_AND_SPACES = (string.ascii_letters + string.whitespace).encode()
SHORT_LINE = 30
SHORT_LINE_UNSPACED = 12
"""As many words in characters that are words."""


def refuse_low_quality(draft: Draft, profile: ProfileSettings) -> Draft:
    """The same draft. Raises Rejected with the reason of the first rule that the text breaks."""
    text = draft.text
    words = text.split()
    unspaced = is_unspaced(text)
    count = num_words(words, unspaced)
    if count < profile.min_words:
        raise Rejected("too_few_words", f"{count} words; at least {profile.min_words}")
    if profile.max_words and count > profile.max_words:
        raise Rejected("too_many_words", f"{count} words; at most {profile.max_words}")
    if not unspaced and words:
        word_length(words, profile)
        letters(text, words, profile)
        stop_words(words, draft.language, profile)
    symbols(text, count, profile)
    lines(text, count, unspaced, profile)
    filler(text, profile)
    return draft


def word_length(words: list[str], profile: ProfileSettings) -> None:
    mean = sum(map(len, words)) / len(words)
    if mean < profile.min_mean_word_length:
        least = profile.min_mean_word_length
        raise Rejected("word_length", f"words have {mean:.1f} characters; at least {least:g}")
    most = profile.max_mean_word_length
    if most and mean > most:
        raise Rejected("word_length", f"words have {mean:.1f} characters; at most {most:g}")


def letters(text: str, words: list[str], profile: ProfileSettings) -> None:
    least = profile.min_alphabetic_share
    if not least:
        return
    if text.isascii():
        # No more words can be without a letter than there are other characters.
        others = len(text.encode().translate(None, LETTERS_AND_SPACES))
        if others <= (1 - least) * len(words):
            return
    # The first letter answers for most; the others are looked through.
    num = sum(1 for word in words if word[0].isalpha() or any(map(str.isalpha, word)))
    if num < least * len(words):
        share = num / len(words)
        raise Rejected(
            "few_letters", f"{share:.0%} of the words have letters; at least {least:.0%}"
        )


def stop_words(words: list[str], language: str | None, profile: ProfileSettings) -> None:
    known = STOP_WORDS.get(primary(language)) if language and profile.min_stop_words else None
    if known is None:
        return
    found = set()
    for word in words:
        if (folded := word.lower()) in known:
            found.add(folded)
            # In prose the first ten words answer.
            if len(found) >= profile.min_stop_words:
                return
    least = profile.min_stop_words
    detail = f"{len(found)} frequent words of {language}; at least {least}"
    raise Rejected("few_stop_words", detail)


def symbols(text: str, count: int, profile: ProfileSettings) -> None:
    most = profile.max_symbol_share
    if most >= 1:
        return
    for name, num in (("#", text.count("#")), ("ellipses", sum(map(text.count, ELLIPSES)))):
        if num > most * max(1, count):
            raise too_high("symbols", f"{name} for each word", num / max(1, count), most)


def lines(text: str, count: int, unspaced: bool, profile: ProfileSettings) -> None:
    bounds = (
        profile.max_bullet_line_share,
        profile.max_ellipsis_line_share,
        profile.max_short_line_share,
        profile.max_newlines_per_word,
        profile.min_ended_line_share,
    )
    if bounds == (1, 1, 1, 1, 0):
        return
    all_lines = [line for line in map(str.strip, text.split("\n")) if line]
    if not all_lines:
        return
    num_lines = len(all_lines)
    share = sum(line.startswith(BULLETS) for line in all_lines) / num_lines
    if share > bounds[0]:
        raise too_high("symbols", "lines with a bullet", share, bounds[0])
    share = sum(line.endswith(ELLIPSES) for line in all_lines) / num_lines
    if share > bounds[1]:
        raise too_high("symbols", "lines that end in an ellipsis", share, bounds[1])
    short = SHORT_LINE_UNSPACED if unspaced else SHORT_LINE
    share = sum(len(line) <= short for line in all_lines) / num_lines
    if share > bounds[2]:
        raise too_high("unlike_prose", "short lines", share, bounds[2])
    share = (num_lines - 1) / max(1, count)
    if share > bounds[3]:
        raise too_high("unlike_prose", "line ends for each word", share, bounds[3])
    share = sum(line.endswith(LINE_ENDS) for line in all_lines) / num_lines
    if share < bounds[4]:
        detail = f"{share:.0%} of the lines end with punctuation; at least {bounds[4]:.0%}"
        raise Rejected("unlike_prose", detail)


def filler(text: str, profile: ProfileSettings) -> None:
    if profile.drop_lorem_ipsum and "lorem ipsum" in text.lower():
        raise Rejected("filler", "it says lorem ipsum")
    if profile.drop_curly_braces and "{" in text:
        raise Rejected("unlike_prose", "it has a curly brace")


def too_high(reason: Reason, what: str, share: float, most: float) -> Rejected:
    return Rejected(reason, f"{what}: {share:.2f}; at most {most:g}")
