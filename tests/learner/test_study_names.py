"""Names in a sentence, whole."""

import pytest

from learner.study_languages import ENGLISH, GERMAN
from learner.study_names import names_in
from learner.study_pair import FUNCTION_WORDS
from learner.study_words import names


def found(sentence: str, named: set[str], *, is_german: bool = False) -> list[str]:
    its = list(names_in(sentence, named, GERMAN if is_german else ENGLISH))
    assert all(sentence[one.first : one.end] == one.text for one in its)
    return [one.text for one in its]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the ferry Grey Wagtail and its captain Ilsa Renquist", ["Grey Wagtail", "Ilsa Renquist"]),
        ("from Ann, Ben and Cid", ["Ann", "Ben and Cid"]),
        ("on port 9077 of Mistral, says Mistral", ["9077 of Mistral", "Mistral"]),
        ("nothing here", []),
        ("", []),
    ],
)
def test_a_name_is_whole(sentence: str, expected: list[str]) -> None:
    assert found(sentence, names(f"x {sentence}")) == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Iva Dolan swims.", ["Iva Dolan"]),
        ("Fallow and Reed print bank notes.", ["Fallow and Reed"]),
        ("Today Iva Dolan swims.", ["Iva Dolan"]),
        ("The Ilm Water is deep.", ["Ilm Water"]),
        ("Kettles, Reed says, are cheap.", ["Reed"]),
        ("Most swimmers know Iva Dolan.", ["Iva Dolan"]),
    ],
)
def test_a_first_word_belongs_to_the_name_behind_it_unless_it_often_begins(
    sentence: str, expected: list[str]
) -> None:
    assert found(sentence, names(sentence) - FUNCTION_WORDS | {"dolan"}) == expected


def test_german_sentences_begin_with_other_words() -> None:
    assert found("Heute kommt Konrad Wiesel.", {"konrad", "wiesel"}, is_german=True) == [
        "Konrad Wiesel"
    ]
    assert found("Konrad Wiesel kommt.", {"wiesel"}, is_german=True) == ["Konrad Wiesel"]
    assert found("Gestern Wiesel, heute Fuchs.", {"wiesel"}, is_german=True) == ["Wiesel"]
