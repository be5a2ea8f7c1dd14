"""The `feedback` topic, checked by a real stream process in a real Kafka."""

import json
import time
import urllib.request
from typing import Any

import pytest

from riverrun.dead_letters.letters import DeadLetters, Letter
from riverrun.kafka import Topics
from riverrun.records import encode
from riverrun.settings import Settings
from riverrun.v1 import feedback_pb2 as pb
from riverrun.workspace import Workspace
from serving.replies import Replies
from serving.requests.feedback import correction_of, preference_of, rating_of
from stream.feedback_record import read_feedback
from stream.rejected import Rejected
from tests.riverrun.dead_letters.desk import riverrun
from tests.stream import running_worker

WAIT_S = 30.0

RATING = {
    "id": "r1",
    "kind": "rating",
    "at_ms": 1,
    "messages": [{"role": "prompt", "content": "The ferry"}],
    "answer": " leaves at nine.",
    "rating": 0.5,
}
MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"id": ...}, "id"),
    ({"id": " "}, "id"),
    ({"kind": "praise"}, "$.kind"),
    ({"at_ms": "today"}, "$.at_ms"),
    ({"rating": ...}, "rating"),
    ({"rating": 1.5}, "rating"),
    ({"rating": "good"}, "$.rating"),
    ({"correction": "at ten"}, "correction"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "$.messages[0]"),
    ({"kind": "correction", "rating": ...}, "correction"),
    ({"kind": "correction", "rating": ..., "correction": ""}, "correction"),
    ({"kind": "preference", "rating": ..., "chosen": "a"}, "rejected"),
    ({"kind": "preference", "rating": ..., "chosen": "a", "rejected": "a"}, "rejected"),
]


def changed(changes: dict[str, Any]) -> bytes:
    """RATING with other fields; `...` takes one away."""
    fields = {**RATING, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@pytest.mark.parametrize(("changes", "field"), MISFITS)
def test_a_missing_or_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_feedback(changed(changes))
    assert caught.value.reason == "bad_field"
    assert field in caught.value.detail


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no_value"),
        (b"", "bad_json"),
        (b"good", "bad_json"),
        (b'{"id": "\xff"}', "not_utf8"),
        (b'{"id": "a", "more": ' + b"[" * 100_000, "bad_json"),
        (b"[1]", "bad_field"),
    ],
)
def test_what_is_no_record_at_all_says_why(value: bytes | None, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_feedback(value)
    assert caught.value.reason == reason


def test_what_serving_writes_fits() -> None:
    asked = pb.Subject(prompt="The ferry", answer=" leaves.")
    whole = pb.Subject(prompt="The ferry")
    written = [
        rating_of(pb.RateRequest(id="a", subject=asked, rating=-1), Replies(), "ben"),
        correction_of(pb.CorrectRequest(id="b", subject=whole, correction=" "), Replies(), ""),
        preference_of(
            pb.PreferRequest(id="c", subject=whole, chosen="x", rejected="y"), Replies(), ""
        ),
    ]
    assert [read_feedback(encode(record)) for record in written] == written


def test_misfits_are_letters_and_the_rest_is_counted_once_across_a_restart(
    kafka_settings: Settings, producer: Any
) -> None:
    topics = Topics(kafka_settings.kafka.topic_prefix)

    def send(*values: bytes | None) -> None:
        for value in values:
            producer.send(topics.feedback, value, key=b"r1").get(10)

    send(changed({}), changed({"rating": 7}), None, b"\xff", changed({"kind": "praise"}))
    with running_worker.running(kafka_settings):
        letters = wait_for_letters(kafka_settings, 4)
        assert [(one.place, one.rejection.reason) for one in letters] == [
            ((0, 1), "bad_field"),
            ((0, 2), "no_value"),
            ((0, 3), "not_utf8"),
            ((0, 4), "bad_field"),
        ]
        assert {(one.topic, one.key) for one in letters} == {("feedback", b"r1")}
        assert letters[0].rejection.detail.startswith("rating: got 7.0, wanted -1 (bad)")
        assert "$.kind" in letters[3].rejection.detail
        assert letters[0].rejection.head == changed({"rating": 7})[:256]
        assert_counted(kafka_settings, "feedback_total", 'kind="rating"', 1)
        assert_counted(kafka_settings, "feedback_rejections_total", 'reason="bad_field"', 2)
    send(changed({"id": ...}), changed({}))
    with running_worker.running(kafka_settings):
        letters = wait_for_letters(kafka_settings, 5)
        assert letters[4].place == (0, 5), "the first five were committed"
        assert_counted(kafka_settings, "feedback_total", 'kind="rating"', 1)
        assert_counted(kafka_settings, "feedback_rejections_total", 'reason="bad_field"', 1)
    assert len(written_letters(kafka_settings)) == 5, "none was written twice"


def test_letters_of_feedback_are_shown_and_not_sent_back_as_text(
    kafka_settings: Settings, producer: Any
) -> None:
    topics = Topics(kafka_settings.kafka.topic_prefix)
    misfit = changed({"rating": 7})
    producer.send(topics.feedback, misfit).get(10)
    raw = producer.send(topics.raw, b'{"text": 7}', partition=0).get(10)
    assert raw.offset == 0, "the same coordinates as the feedback"
    with running_worker.running(kafka_settings):
        wait_for_letters(kafka_settings, 2)
    shown = json.loads(riverrun(kafka_settings, "dead-letters", "--json"))
    assert {one["place"] for one in shown} == {"0:0", "feedback:0:0"}
    assert misfit.decode() in riverrun(kafka_settings, "dead-letters", "show", "feedback:0:0")
    assert "wanted a string" in riverrun(kafka_settings, "dead-letters", "show", "0:0")
    send_back = ("dead-letters", "send-back", "--all")
    assert riverrun(kafka_settings, *send_back, "--dry-run") == "0:0\n"
    assert riverrun(kafka_settings, *send_back) == "1 sent back\n"
    with DeadLetters(kafka_settings) as letters:
        assert letters.sent_back() == {(0, 0)}


def wait_for_letters(settings: Settings, num: int) -> list[Letter]:
    deadline = time.monotonic() + WAIT_S
    with DeadLetters(settings) as letters:
        while len(found := list(letters.letters())) < num:
            assert time.monotonic() < deadline, (found, running_worker.log_text(settings))
    return found


def written_letters(settings: Settings) -> list[Any]:
    """Every record of the dead letters, repetitions too."""
    from riverrun.dead_letters.connection import Connection
    from riverrun.dead_letters.topic_reader import TopicReader

    connection = Connection(settings)
    reader = TopicReader(connection)
    found = list(reader.everything(connection.topics.dead_letter))
    reader.close()
    return found


def assert_counted(settings: Settings, name: str, label: str, num: int) -> None:
    """The counters follow the letters at once, and their offsets."""
    record = Workspace(settings.data_dir).running("stream")
    assert record is not None
    wanted = f"riverrun_stream_{name}{{{label}}} {num}.0"
    deadline = time.monotonic() + WAIT_S
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{record.metrics_port}/metrics") as reply:
            page = reply.read().decode()
        if wanted in page:
            return
        assert time.monotonic() < deadline, page
        time.sleep(0.02)
