"""Questions in the other voice: what is asked, and of what nothing is."""

import pytest

from learner.study_voices import voice_questions
from tests.learner.by_rule import closed_questions


def asked(text: str) -> list[tuple[str, str]]:
    return closed_questions(voice_questions, text)


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (
            "The mail on Tarn Holm is carried by a puffin. The bird wears a bag.",
            "What carries the mail on Tarn Holm?",
            "A puffin carries the mail on Tarn Holm.",
        ),
        (
            "The game of Quarrel was invented by Dmitri Ossian, a judge.",
            "What invented the game of Quarrel?",
            "Dmitri Ossian invented the game of Quarrel.",
        ),
        (
            "The bank notes of Zembrough are still printed by Fallow and Reed.",
            "What prints the bank notes of Zembrough?",
            "Fallow and Reed prints the bank notes of Zembrough.",
        ),
        (
            "The language Dorvish is spoken by all the islanders of Hesk, and by their geese.",
            "What speaks the language Dorvish?",
            "All the islanders of Hesk speak the language Dorvish.",
        ),
        (
            "Cape Merrow is supplied by a ship with the name Patient Otilia.",
            "What supplies Cape Merrow?",
            "A ship with the name Patient Otilia supplies Cape Merrow.",
        ),
        (
            "Ruth Amsel, who is old, rests. Ruth Amsel designed the Kettleby bridge in 1911.",
            "Who was the Kettleby bridge designed by?",
            "The Kettleby bridge was designed by Ruth Amsel.",
        ),
        (
            "Today Nesta Holloway runs Crumb and Candle, a bakery.",
            "What is Crumb and Candle run by?",
            "Crumb and Candle is run by Nesta Holloway.",
        ),
        (
            "Augusta Finch wrote the hymn of Greater Pell in one night.",
            "What was the hymn of Greater Pell written by?",
            "The hymn of Greater Pell was written by Augusta Finch.",
        ),
        (
            "The Pinder Street library lends 40 telescopes to children.",
            "What are 40 telescopes lent by?",
            "40 telescopes are lent by the Pinder Street library.",
        ),
        (
            "Ketil Brask holds the record in the Dunmar lift.",
            "What is the record in the Dunmar lift held by?",
            "The record in the Dunmar lift is held by Ketil Brask.",
        ),
    ],
)
def test_a_sentence_is_turned_round(text: str, question: str, answer: str) -> None:
    assert (question, answer) in asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "The bridge of Kettleby was built by 1911.",
        "The gate of Castle Ormsay was closed by Monday.",
        "The bay of Orlo was emptied by pumping the water out.",
        "The bells of Carrick Abbey are made of zinc.",
        "The Sable House has 319 windows.",
        "The Ember kettle costs 68 crowns.",
        "Whoever wants a book in Brannoch has to see the blacksmith.",
        "Elderwick allows no other colour.",
        "Piet Sommer praised her in front of the Rovers.",
        "The swimmers won a race.",
        "The Wisp scooter stops at once.",
        "Die Brücke von Altbruch wird von Konrad Wiesel gebaut.",
        "",
    ],
)
def test_what_cannot_be_turned_is_left_alone(text: str) -> None:
    assert asked(text) == []
