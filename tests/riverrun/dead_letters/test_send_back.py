"""Records sent back in a real Kafka; where a fix is tried, a real stream worker cleans."""

import contextlib
import time

import pytest

from riverrun.dead_letters.letters import DeadLetters, Original, Place
from riverrun.dead_letters.send_back import send_back
from riverrun.errors import InvalidValue
from riverrun.records import RESENT_HEADER
from riverrun.settings import Settings
from tests.riverrun.dead_letters.desk import BAD, clean, riverrun


def test_a_record_is_sent_back_once_to_its_partition_with_its_headers_and_time(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    first = next(letters.letters())
    result = send_back(letters, [first.place])
    (at,) = result.sent.values()
    assert at[0] == first.place[0]
    again = when_committed(letters, at)
    assert (again.value, again.key) == (BAD, b"k")
    headers = dict(again.headers)
    assert headers[RESENT_HEADER] == b"%d:%d" % first.place
    assert headers["source"] == b"ferry"
    assert int(headers["timestamp"]) == first.rejection.timestamp_ms

    repeated = send_back(letters, [first.place])
    assert (repeated.sent, repeated.before) == ({}, [first.place])
    with DeadLetters(kafka_settings) as other:
        assert send_back(other, [first.place]).sent == {}
        assert send_back(other, [first.place], force=True).sent != {}


def when_committed(letters: DeadLetters, place: Place) -> Original:
    """Kafka marks a transaction's partitions a little after it has acknowledged the commit."""
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(InvalidValue):
            original = letters.original(place)
            assert original is not None
            return original
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_sent_back_by_reason_flows_on_or_is_a_new_letter(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    options = ("dead-letters", "send-back", "--reason", "not_utf8")
    would = riverrun(kafka_settings, *options, "--dry-run")
    assert len(would.splitlines()) == 1
    assert riverrun(kafka_settings, *options) == "1 sent back\n"
    assert riverrun(kafka_settings, *options).startswith("0 sent back\n1 were sent back before")
    clean(kafka_settings)
    reasons = [one.rejection.reason for one in letters.letters()]
    # The worker has cleaned all three, and the one that was sent back.
    assert sorted(reasons) == ["bad_field", "not_utf8", "not_utf8", "sent_back"]


def test_a_send_back_that_dies_in_the_middle_has_sent_nothing(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [one.place for one in letters.letters()]

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("riverrun.dead_letters.send_back.note_of", die)
        with pytest.raises(KeyboardInterrupt):
            send_back(letters, places)
    assert letters.sent_back() == set()
    assert set(send_back(letters, places).sent) == set(places)


def test_a_record_that_retention_took_is_told_and_nothing_is_sent(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    from kafka import KafkaAdminClient, TopicPartition

    place = next(letters.letters()).place
    admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    raw = TopicPartition(f"{kafka_settings.kafka.topic_prefix}raw", place[0])
    admin.delete_records({raw: place[1] + 1})
    admin.close()
    assert letters.original(place) is None
    assert send_back(letters, [place]).gone == [place]
    assert "not in `raw`" in riverrun(
        kafka_settings, "dead-letters", "show", f"{place[0]}:{place[1]}"
    )
