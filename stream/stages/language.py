"""Which language a text is in, and whether the profile lets it through.

Asks three judges, the cheapest first: the script, when only one language uses it; the most
frequent words of eight languages, when one of them is far ahead; py3langid. The last takes 40 to
90 us, and 0.7 s to load, for which a worker has a thread (`load_model`); the first two answer
nearly all prose in 10.
A text too short gets no guess. Never changes the text. Called by the pipeline.
"""

import functools
import re
import threading
from typing import Any

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft
from stream.rejected import Rejected
from stream.stages.stop_words import STOP_WORDS

SAMPLE_CHARACTERS = 400
"""More does not change a guess and costs time."""

LETTERS = re.compile(r"[^\W\d_]+")

NO_LETTERS = {point: " " for point in range(128) if not chr(point).isalpha()}
"""Ten times as fast as the pattern, for ASCII."""

SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u3400-\u9fff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("hy", re.compile("[\u0530-\u058f]")),
    ("ka", re.compile("[\u10a0-\u10ff]")),
    ("ta", re.compile("[\u0b80-\u0bff]")),
    ("te", re.compile("[\u0c00-\u0c7f]")),
    ("km", re.compile("[\u1780-\u17ff]")),
    ("lo", re.compile("[\u0e80-\u0eff]")),
)
"""Scripts that one language writes today. Japanese before Chinese: it has both letters."""

BEYOND_LATIN = re.compile("[\u0370-\u03ff\u0530-\u05ff\u0b80-\u0eff\u10a0-\uffff]")

SCRIPT_SHARE = 0.3
KANA_SHARE = 0.1

MIN_STOP_WORDS = 4
LEAD = 2.5
"""The best language needs this many times the stop words of the second."""


def know_language(draft: Draft, profile: ProfileSettings) -> Draft:
    """The draft with its language where one is known. Raises Rejected: language."""
    language = draft.language
    if language is None:
        language = guess(draft.text, profile.language_min_letters, profile.language_min_probability)
        if language is not None:
            draft = Draft(draft.text, draft.markup, language)
    if language is not None and profile.languages and primary(language) not in profile.languages:
        wanted = ", ".join(profile.languages)
        raise Rejected("language", f"the text is {language}; the profile takes {wanted}")
    return draft


def primary(language: str) -> str:
    """`de` of `de-AT`."""
    return language.replace("_", "-").partition("-")[0].lower()


def guess(text: str, min_letters: int, min_probability: float) -> str | None:
    """An ISO 639-1 code, or None when no judge is sure."""
    sample = text[:SAMPLE_CHARACTERS]
    words = words_of(sample)
    num_letters = sum(map(len, words))
    by_script = language_of_script(sample, num_letters)
    if by_script is not None and num_letters * 3 >= min_letters:
        return by_script
    if num_letters < min_letters:
        return None
    return by_frequent_words(words) or by_model(sample, min_probability)


def words_of(sample: str) -> list[str]:
    """Runs of letters, in lower case."""
    folded = sample.lower()
    return folded.translate(NO_LETTERS).split() if sample.isascii() else LETTERS.findall(folded)


def language_of_script(sample: str, num_letters: int) -> str | None:
    if sample.isascii() or BEYOND_LATIN.search(sample) is None:
        return None
    for language, letters in SCRIPTS:
        share = KANA_SHARE if language == "ja" else SCRIPT_SHARE
        if len(letters.findall(sample)) > share * num_letters:
            return language
    return None


def by_frequent_words(words: list[str]) -> str | None:
    """The language whose stop words are there, when no other comes near."""
    found = set(words)
    counts = sorted(
        ((len(found & stop_words), language) for language, stop_words in STOP_WORDS.items()),
        reverse=True,
    )
    (most, language), (second, _) = counts[:2]
    return language if most >= MIN_STOP_WORDS and most >= LEAD * second else None


def by_model(sample: str, min_probability: float) -> str | None:
    language, probability = _model().classify(sample)
    return str(language) if probability >= min_probability else None


def load_model() -> None:
    """Load py3langid now, on any thread, not at the first text that needs it."""
    _model()


_loading = threading.Lock()


def _model() -> Any:
    with _loading:
        return _loaded_model()


@functools.cache
def _loaded_model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
