"""Dead letters in a real Kafka."""

import json

import pytest

from riverrun.dead_letters.letters import DeadLetters
from riverrun.errors import InvalidValue
from riverrun.settings import Settings
from tests.riverrun.dead_letters.desk import BAD, riverrun


def test_letters_are_listed_counted_and_shown_whole(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    first, second = letters.letters()
    assert first.rejection.reason == "bad_field"
    assert second.rejection.source == "ferry"
    original = letters.original(first.place)
    assert original is not None
    assert (original.value, original.key) == (BAD, b"k")
    assert dict(original.headers)["source"] == b"ferry"

    shown = json.loads(riverrun(kafka_settings, "dead-letters", "--json"))
    assert [one["reason"] for one in shown] == ["bad_field", "not_utf8"]
    counted = riverrun(kafka_settings, "dead-letters", "--by-reason", "--json")
    assert json.loads(counted) == {"bad_field": 1, "not_utf8": 1}
    place = shown[0]["place"]
    assert BAD.decode() in riverrun(kafka_settings, "dead-letters", "show", place)
    with pytest.raises(InvalidValue, match=r"partition of `.*raw`"):
        letters.original((99, 0))
    with pytest.raises(InvalidValue, match="an offset of 0 to"):
        letters.original((first.place[0], 10_000))
