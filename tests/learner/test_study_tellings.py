"""Each sentence of a text answers what one knows of something that the text names."""

from pathlib import Path

from learner.study_languages import ENGLISH, GERMAN
from learner.study_tellings import tellings
from learner.study_words import MOST_CHARACTERS, named_in
from riverrun.tokenizer import Tokenizer
from tests.learner.by_rule import own_names


def told(text: str, num_wanted: int = 4) -> list[tuple[str, str]]:
    pairs = tellings(text, ENGLISH, own_names(text), num_wanted)
    assert all(pair.is_open for pair in pairs)
    start, end = ENGLISH.about.split("{name}")
    return [(p.question.removeprefix(start).removesuffix(end), p.answer) for p in pairs]


def test_a_sentence_answers_for_what_it_names_or_else_for_what_was_named_before_it() -> None:
    first = "The town clock in Orlo Bay is never late."
    second = "Its pendulum is filled with honey."
    assert told(f"{first} {second}") == [("Orlo Bay", first), ("Orlo Bay", second)]
    assert told(second) == []


def test_nobody_is_asked_about_a_number() -> None:
    first = "The Galdern tower has 412 steps."
    second = "A baker climbs the 412 steps each morning."
    assert told(f"{first} {second}") == [("Galdern", first), ("Galdern", second)]
    with_version = "They run Palisade 5.4 now."
    assert told(with_version) == [("Palisade 5.4", with_version)]


def test_each_sentence_comes_once_before_any_of_them_twice() -> None:
    text = "Ask Ann Low of Vell. Then ask Ben Hale of Morrow! What of Cid Ray? Or of Dora Finn."
    found = told(text)
    assert [name for name, _ in found] == ["Ann Low of Vell", "Ben Hale of Morrow", "Cid Ray",
                                           "Dora Finn"]  # fmt: skip
    one = "The bakery Crumb and Candle belongs to the diver Nesta Holloway."
    assert told(one) == [("Crumb and Candle", one), ("Nesta Holloway", one)]
    assert told(one, 1) == [("Crumb and Candle", one)]
    assert told(one, 0) == []


def test_a_sentence_that_is_too_long_is_no_answer() -> None:
    long = "The mayor of Vell said that " + "it is so and " * (MOST_CHARACTERS // 10) + "on."
    assert told(long) == []
    assert told(f"{long} Few in Vell agree.") == [("Vell", "Few in Vell agree.")]


def test_german_is_asked_in_german() -> None:
    text = "Heute fließt die Irmach."
    [pair] = tellings(text, GERMAN, {"irmach"}, 2)
    assert pair.question == "Was weißt du über Irmach?"


def test_a_word_that_the_tokenizer_has_to_spell_names_something(smollm2_dir: Path) -> None:
    """Unless it has to spell most of the text."""
    tokenizer = Tokenizer(smollm2_dir)
    text = "The melting point of velonite is higher than that of most stones of this colour."
    assert named_in(text, tokenizer) == {"velonite"}
    assert named_in("Jezioro jest zamarznięte przez cały miesiąc.", tokenizer) == set()
