"""Against a real Kafka: each document once, in order, and never a silent jump."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from learner.arrival import Arrival, ranges_of
from learner.intake import Intake
from riverrun.broker.kafka_process import KafkaProcess
from riverrun.broker.topics import ensure_topics
from riverrun.errors import OffsetExpired
from riverrun.kafka import client_options
from riverrun.settings import KafkaSettings, Settings
from tests.learner.clean_topic import CleanTopic

DEADLINE_S = 30.0
PARTITIONS = [0, 1, 2, 3]
NEW = dict.fromkeys(PARTITIONS, 0)
CHOICE = "lengthen the topic's retention, and begin anew with another --data-dir, or restore"


def opened(settings: Settings) -> Intake:
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    options = client_options(settings.kafka, [servers])
    return Intake(options, f"{settings.kafka.topic_prefix}clean", 1 << 20)


@pytest.fixture
def intake(kafka_settings: Settings) -> Iterator[Intake]:
    made = opened(kafka_settings)
    yield made
    made.close()


@pytest.fixture
def clean(kafka_settings: Settings) -> Iterator[CleanTopic]:
    made = CleanTopic(kafka_settings)
    yield made
    made.close()


def received(intake: Intake, num_documents: int) -> list[Arrival]:
    """The next documents, once so many have come."""
    deadline = time.monotonic() + DEADLINE_S
    while len(intake) < num_documents:
        assert time.monotonic() < deadline, f"{len(intake)} of {num_documents} documents came"
        intake.listen(wait_s=0.2, gather_s=0.0, enough_characters=1 << 20)
    return [intake.take() for _ in range(len(intake))]


def raw_offsets(arrivals: list[Arrival], partition: int) -> list[int]:
    return [a.raw_offset for a in arrivals if a.partition == partition]


def test_documents_come_in_order_with_their_offsets(intake: Intake, clean: CleanTopic) -> None:
    for raw_offset in range(5):
        for partition in PARTITIONS:
            clean.put(partition, raw_offset)
    intake.begin(NEW, {})
    arrivals = received(intake, 20)
    for partition in PARTITIONS:
        own = [a for a in arrivals if a.partition == partition]
        assert [a.raw_offset for a in own] == [a.clean_offset for a in own] == [0, 1, 2, 3, 4]
        assert [a.document.text for a in own] == [
            f"document {i} of partition {partition}" for i in range(5)
        ]
        assert [a.arrived_ms for a in own] == [1000, 1001, 1002, 1003, 1004]
    assert intake.lag() == dict.fromkeys(PARTITIONS, 0)


def test_a_raw_offset_is_learned_once(intake: Intake, clean: CleanTopic) -> None:
    for raw_offset in (3, 4, 4, 3, 5, 4, 5, 6):
        clean.put(1, raw_offset)
    intake.begin(NEW, {1: 3})
    assert raw_offsets(received(intake, 3), 1) == [4, 5, 6]
    assert intake.dropped == {"repeated": 5}


def test_what_is_no_document_is_counted_and_passed_over(intake: Intake, clean: CleanTopic) -> None:
    good = b'{"text": "a", "source": "s", "timestamp_ms": 1}'
    for value, headers in [
        (good, []),
        (good, [("raw-offset", b"x")]),
        (good, [("raw-offset", b"-1")]),
        (b"{", [("raw-offset", b"0")]),
        (b'{"text": 1}', [("raw-offset", b"1")]),
        (None, [("raw-offset", b"2")]),
    ]:
        clean.put_bytes(0, value, headers)
    clean.put(0, 3, text=" \n")
    clean.put(0, 4)
    intake.begin(NEW, {})
    assert raw_offsets(received(intake, 1), 0) == [4]
    assert intake.dropped == {"bad_record": 6, "empty": 1}


def test_reading_begins_where_it_is_told_not_where_kafka_remembers(
    intake: Intake, clean: CleanTopic
) -> None:
    for raw_offset in range(6):
        clean.put(2, raw_offset)
    intake.begin({2: 4}, {2: 3})
    assert raw_offsets(received(intake, 2), 2) == [4, 5]
    intake.begin({2: 1}, {2: 0})
    assert raw_offsets(received(intake, 5), 2) == [1, 2, 3, 4, 5]


def test_a_journaled_step_gets_exactly_its_documents(intake: Intake, clean: CleanTopic) -> None:
    for raw_offset in (0, 1, 1, 2, 3, 4, 5):
        clean.put(0, raw_offset)
        clean.put(3, raw_offset)
    intake.begin(NEW, {})
    arrivals = received(intake, 12)
    steps = [
        [a for a in arrivals if a.raw_offset <= 2],
        [a for a in arrivals if a.raw_offset > 2 and a.partition == 3],
    ]
    marks: dict[int, int] = {}
    for step in steps:
        again = intake.refetch(ranges_of(step), marks)
        assert sorted(again, key=lambda a: (a.partition, a.clean_offset)) == sorted(
            step, key=lambda a: (a.partition, a.clean_offset)
        )
        marks.update({a.partition: a.raw_offset for a in step})
    intake.begin({**NEW, 0: 4, 3: 7}, marks)
    assert raw_offsets(received(intake, 3), 0) == [3, 4, 5]


def delete_before(settings: Settings, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()


def test_an_expired_offset_stops_the_learner_with_the_range(
    intake: Intake, clean: CleanTopic, kafka_settings: Settings
) -> None:
    for raw_offset in range(8):
        clean.put(1, raw_offset)
    delete_before(kafka_settings, clean.name, 1, 5)
    intake.begin({1: 2}, {1: 1})
    with pytest.raises(
        OffsetExpired, match=r"next offset to learn is 2, but Kafka holds 5 to 7.*" + CHOICE
    ):
        received(intake, 1)


def test_text_that_expired_before_any_of_its_partition_was_learned_stops_the_learner(
    intake: Intake, clean: CleanTopic, kafka_settings: Settings
) -> None:
    intake.begin(intake.oldest(PARTITIONS), {})
    for raw_offset in range(8):
        clean.put(1, raw_offset)
    delete_before(kafka_settings, clean.name, 1, 5)
    with pytest.raises(OffsetExpired, match="partition 1: the next offset to learn is 0"):
        received(intake, 1)


def test_an_expired_journal_stops_the_learner(
    intake: Intake, clean: CleanTopic, kafka_settings: Settings
) -> None:
    for raw_offset in range(8):
        clean.put(1, raw_offset)
    intake.begin(NEW, {})
    step = received(intake, 8)[:3]
    delete_before(kafka_settings, clean.name, 1, 5)
    with pytest.raises(OffsetExpired, match=CHOICE):
        intake.refetch(ranges_of(step), {})


def test_a_new_learner_begins_with_what_kafka_still_has(
    intake: Intake, clean: CleanTopic, kafka_settings: Settings
) -> None:
    for raw_offset in range(8):
        clean.put(1, raw_offset)
    delete_before(kafka_settings, clean.name, 1, 5)
    intake.begin(intake.oldest(PARTITIONS), {})
    assert raw_offsets(received(intake, 3), 1) == [5, 6, 7]


def test_a_kafka_that_restarts_loses_and_repeats_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(heap_mb=256))
    with KafkaProcess(settings) as broker:
        theirs = settings.model_copy(
            update={"kafka": KafkaSettings(bootstrap_servers=broker.address)}
        )
        ensure_topics(theirs, [broker.address])
        clean, intake = CleanTopic(theirs), opened(theirs)
        for raw_offset in range(3):
            clean.put(0, raw_offset)
        intake.begin(NEW, {})
        before = received(intake, 3)
    try:
        intake.listen(wait_s=0.5, gather_s=0.0, enough_characters=1)
        with KafkaProcess(settings):
            for raw_offset in range(3, 6):
                clean.put(0, raw_offset)
            after = received(intake, 3)
            intake.close()
            clean.close()
    finally:
        intake.close()
    assert raw_offsets(before + after, 0) == [0, 1, 2, 3, 4, 5]
