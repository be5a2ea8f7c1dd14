"""What rules ask of a text, for tests: its names without a tokenizer, its questions as tuples."""

from collections.abc import Callable

from learner.study_languages import Language, language_of
from learner.study_pair import FUNCTION_WORDS, Pair
from learner.study_words import names

Rule = Callable[[str, Language, set[str], int], list[Pair]]


def own_names(text: str) -> set[str]:
    return names(text) - FUNCTION_WORDS


def closed_questions(rule: Rule, text: str, num_wanted: int = 9) -> list[tuple[str, str]]:
    """Each with its answer; a rule for closed questions gives no open ones."""
    pairs = rule(text, language_of(text), own_names(text), num_wanted)
    assert not any(pair.is_open for pair in pairs)
    return [(pair.question, pair.answer) for pair in pairs]
