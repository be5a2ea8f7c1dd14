"""Questions that were asked before, asked of a new text: which, and what is kept of the answers."""

import pytest
import torch

from learner.recipe import resolve
from learner.study import MAX_AGAIN, Student
from learner.study_again import asked_again, is_of_a_kind
from learner.study_pair import Pair, contradicts, stems
from learner.study_words import names
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.settings import LearnerSettings
from riverrun.tokenizer import Tokenizer

TEXT = (
    "The Ember kettle has a new price: it costs 68 crowns from today, and Nesta Holloway pays it."
)
NAMED = names(TEXT)
PRICE = Pair(
    "What is the price of the Ember kettle?", "The price of the Ember kettle is 54 crowns."
)


def test_what_the_text_speaks_of_is_asked_the_most_telling_first_and_once() -> None:
    newer = Pair("What is the Ember kettle's price?", "The price of the Ember kettle is 61 crowns.")
    kettle = Pair("What is the Ember kettle?", "The Ember kettle is a kettle of copper.")
    assert asked_again(TEXT, NAMED, [kettle, PRICE, newer], 3) == [newer, kettle]
    assert asked_again(TEXT, NAMED, [kettle, PRICE], 1) == [PRICE]


@pytest.mark.parametrize(
    "pair",
    [
        Pair("Who mended the Ember kettle?", "Ada Quill mended the Ember kettle."),
        Pair("What is the new price?", "The new price is 70 crowns."),
        Pair("What is Ember?", "Ember is a kettle."),
        Pair("What do you know about the Ember kettle?", "The Ember kettle is old.", is_open=True),
    ],
    ids=["not told", "names nothing", "one word", "open"],
)
def test_what_it_does_not_speak_of_is_not_asked(pair: Pair) -> None:
    assert asked_again(TEXT, NAMED, [pair], 3) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The price of the Ember kettle is 68 crowns.", True),
        ("The price of the Ember kettle is a second lid.", False),
        ("The price of the Ember kettle is Nesta Holloway.", False),
        ("The price of the Ember kettle is 68 times Nesta Holloway.", False),
    ],
)
def test_a_number_stands_for_a_number(answer: str, expected: bool) -> None:
    assert is_of_a_kind(Pair(PRICE.question, answer), PRICE) == expected


def test_a_changed_fact_is_found_by_the_question_of_before() -> None:
    """By the untouched SmolLM2. The text asks for it in words of its own."""
    files_of_it = locate("smollm2")
    tokenizer = Tokenizer(files_of_it)
    model = files.load(files_of_it, torch.float32, torch.device("cpu"))
    recipe = resolve(LearnerSettings(), "pretrained", has_bfloat16=False)
    student = Student(tokenizer, recipe)
    coach = Pair("Who makes the Nimbus umbrella?", "Oakes Brothers makes the Nimbus umbrella.")
    text = "Tarrant Works is the company that makes the Nimbus umbrella today, in the same hall."
    other = "The swimmers of Penrose have won a race against the current."
    with torch.no_grad():
        [found, of_other] = student.study(model, [text, other], [PRICE, coach])
        [alone] = student.study(model, [other])
    [answered] = [pair for pair in found if pair.question == coach.question]
    assert {"tarrant", "work"} <= stems(answered.answer)
    assert contradicts(answered, coach)
    assert len([pair for pair in found if not pair.is_open]) <= 3 + MAX_AGAIN
    assert of_other == alone, "what is not asked changes nothing"
