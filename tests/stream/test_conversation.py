"""Supervised records through the stream: typed and cleaned by message, or refused by field."""

import json
from typing import Any

import pytest

from riverrun.records import Document, Message, Rejection
from riverrun.settings import StreamSettings
from riverrun.settings.profile import ProfileSettings
from stream.explain import explain
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord

USER = {"role": "user", "content": "Where does it rain?"}
ANSWER = {"role": "assistant", "content": "In Bergen."}
PROSE = StreamSettings(profile="prose")
NEAR = StreamSettings(
    profile="near", profiles={"near": ProfileSettings(like="text", duplicates="near")}
)


def cleaned(settings: StreamSettings | None = None, **fields: Any) -> Document | Rejection:
    value = json.dumps(fields).encode()
    raw = RawRecord("raw", 0, 4, 1_700_000_000_000, None, value)
    return Pipeline(settings or StreamSettings()).clean(raw)


def document(settings: StreamSettings | None = None, **fields: Any) -> Document:
    result = cleaned(settings, **fields)
    assert isinstance(result, Document), result
    return result


def test_messages_become_a_document_that_says_who_it_is_from() -> None:
    found = document(messages=[USER, ANSWER], source="qa", id=7, timestamp=1_500_000_000)
    assert found.messages == (Message("user", USER["content"]), Message("assistant", "In Bergen."))
    assert found.text == "Where does it rain?\n\nIn Bergen."
    assert (found.source, found.id, found.timestamp_ms) == ("qa", "7", 1_500_000_000_000)


def test_prompt_and_completion_are_the_users_and_the_assistants() -> None:
    found = document(prompt="Where does it rain?", completion="In Bergen.")
    assert found == document(messages=[USER, ANSWER])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"messages": "hello"}, "messages: got 'hello'"),
        ({"messages": [ANSWER]}, "messages: got [{"),
        ({"messages": []}, "messages: got []"),
        ({"messages": [USER, "hello"]}, "messages[1]: got 'hello'"),
        ({"messages": [ANSWER, USER]}, "messages[1].role: got 'user', wanted assistant"),
        ({"messages": [{**USER, "role": "human"}, ANSWER]}, "messages[0].role: got 'human'"),
        ({"messages": [{"content": "a"}, ANSWER]}, "messages[0].role: got 'no such field'"),
        ({"messages": [{"role": "user"}, ANSWER]}, "messages[0].content: got 'no such field'"),
        ({"messages": [USER, {**ANSWER, "content": None}]}, "messages[1].content: got None"),
        ({"messages": [USER, {**ANSWER, "content": " \n"}]}, "messages[1].content: got ' "),
        ({"messages": [USER, {**ANSWER, "content": [{"text": "a"}]}]}, "messages[1].content: got"),
        ({"messages": [USER, {**ANSWER, "weight": 0}]}, "messages[1].weight: got 0"),
        ({"messages": [USER, {**ANSWER, "tool_calls": [1]}]}, "messages[1].tool_calls: got [1]"),
        ({"messages": [{**USER, "role": ["user"]}, ANSWER]}, "messages[0].role: got ['user']"),
        ({"prompt": "a"}, "completion: got 'no such field'"),
        ({"completion": "a"}, "prompt: got 'no such field'"),
        ({"prompt": "a", "completion": 3}, "completion: got 3"),
        ({"prompt": "", "completion": "b"}, "prompt: got ''"),
        ({"text": "a", "messages": [USER, ANSWER]}, "text, messages: got 'all of them'"),
        ({"messages": [USER, ANSWER], "source": 3}, "source: got 3"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(fields: dict[str, Any], named: str) -> None:
    result = cleaned(**fields)
    assert isinstance(result, Rejection)
    assert result.reason == "bad_field"
    assert result.detail.startswith(named)


def test_each_content_is_cleaned_on_its_own() -> None:
    found = document(
        PROSE,
        messages=[
            {"role": "user", "content": "<p>Who wrote to\u00a0me?</p>  \n\n\n\nWho was it?"},
            {
                "role": "assistant",
                "content": "ada wrote, ada@example.org. donâ€™t ask",
            },
        ],
        content_type="text/html",
    )
    assert found.messages is not None
    asked, answer = (message.content for message in found.messages)
    assert "<p>" not in asked
    assert "\u00a0" not in asked
    assert "ada@example.org" not in answer
    assert "don’t" in answer
    assert found.text == f"{asked}\n\n{answer}"


def test_a_content_that_cleaning_empties_is_named() -> None:
    for fields, name in (
        ({"messages": [USER, {**ANSWER, "content": "\u200b\u200b"}]}, "messages[1].content"),
        ({"prompt": "\u200b", "completion": "b"}, "prompt"),
    ):
        result = cleaned(**fields)
        assert isinstance(result, Rejection)
        assert (result.reason, result.detail.split(":")[0]) == ("empty", name)


def test_a_short_answer_to_a_real_question_is_no_poor_text() -> None:
    asked = "What is the capital of the country in which the river Rhône comes to the sea?"
    assert document(PROSE, prompt=asked, completion="Paris.").language == "en"
    result = cleaned(PROSE, prompt="So?", completion="Paris.")
    assert isinstance(result, Rejection)
    assert result.reason == "too_few_words", "a conversation that is poor as a whole"


def test_the_language_is_that_of_the_whole_conversation() -> None:
    only_german = ProfileSettings(like="prose", languages=("de",))
    settings = StreamSettings(profile="german", profiles={"german": only_german})
    result = cleaned(
        settings,
        prompt="What is the name of the river that runs through the city, and where is it from?",
        completion="Isar.",
    )
    assert isinstance(result, Rejection)
    assert result.reason == "language"


def test_many_questions_on_one_long_text_are_no_repetitions_but_the_same_one_is() -> None:
    pipeline = Pipeline(NEAR)
    text = " ".join(f"Chapter {i} tells of the {i}th king and of his house." for i in range(40))
    asked = [f"{text} Who was the {i}th king?" for i in range(2)]
    marks = [
        pipeline.fingerprint(document(NEAR, prompt=one, completion=f"King {i}."), "raw")
        for i, one in enumerate(asked)
    ]
    plain = [pipeline.fingerprint(document(NEAR, text=one), "raw") for one in asked]
    assert marks[0] is not None
    assert marks[1] is not None
    assert plain[0] is not None
    assert plain[1] is not None
    assert set(plain[0].bands) & set(plain[1].bands), "as texts they are near duplicates"
    assert marks[0].exact != marks[1].exact
    assert marks[0].bands == ()
    again = pipeline.fingerprint(document(NEAR, prompt=asked[0], completion="King 0."), "raw")
    assert again == marks[0]


def test_the_desk_shows_what_a_stage_did_to_it() -> None:
    value = json.dumps({"prompt": "a\r\nb", "completion": "donâ€™t"}).encode()
    explanation = explain(Pipeline(StreamSettings()), RawRecord("raw", 0, 0, 1, None, value))
    assert {change.stage for change in explanation.changes} == {"repair", "normalize"}
    assert isinstance(explanation.result, Document)
