"""The trace, over the real broker: what the manifest names is found, and what is gone is told."""

import json
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from riverrun.cli.trace import trace
from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, Document, Span, encode
from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore, version_id
from riverrun.trace import CleanTopic, Missing, TracedDocument, line_of
from riverrun.workspace import Workspace

PARTITION = 2


def write_clean(settings: Settings, raw_offsets: Sequence[int]) -> None:
    """One clean record for each raw offset, as a worker would."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    for raw_offset in raw_offsets:
        producer.send(
            Topics(settings.kafka.topic_prefix).clean,
            value=encode(
                Document(
                    text=f"text {raw_offset}", source="news", timestamp_ms=1, id=f"d{raw_offset}"
                )
            ),
            headers=[(RAW_OFFSET_HEADER, str(raw_offset).encode())],
            partition=PARTITION,
        )
    producer.flush()
    producer.close()


def span(raw: tuple[int, int], clean: tuple[int, int], num_documents: int) -> Span:
    return Span(
        step=1,
        partition=PARTITION,
        raw_first=raw[0],
        raw_last=raw[1],
        clean_first=clean[0],
        clean_last=clean[1],
        num_documents=num_documents,
    )


def publish(store: VersionStore, step: int, parent: str | None, learned: list[Span]) -> str:
    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=version_id("run", step, sha256),
            parent=parent,
            run="run",
            step=step,
            created_ms=step,
            model="tiny",
            config_hash="c",
            sha256=sha256,
            num_bytes=num_bytes,
            offsets={},
            learned=learned,
            num_documents=step,
            num_tokens=1,
            newest_ms=None,
            metrics={},
        )

    def write(path: Path) -> None:
        path.write_bytes(b"%d" % step)

    return store.publish(write, describe).version


def test_a_span_gives_its_documents_and_no_repetition(kafka_settings: Settings) -> None:
    # A worker that crashed wrote 1 and 2 twice; the learner dropped the second ones.
    write_clean(kafka_settings, [0, 1, 2, 1, 2, 5, 9])
    with CleanTopic(kafka_settings) as topic:
        found = list(topic.read(span((1, 5), (1, 5), 3)))
    assert all(isinstance(one, TracedDocument) for one in found)
    places = [
        (one.raw_offset, one.clean_offset, one.document.text)
        for one in found
        if isinstance(one, TracedDocument)
    ]
    assert places == [(1, 1, "text 1"), (2, 2, "text 2"), (5, 5, "text 5")]


def test_what_kafka_no_longer_has_is_told(kafka_settings: Settings) -> None:
    write_clean(kafka_settings, [0, 1, 2, 3])
    admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    clean = Topics(kafka_settings.kafka.topic_prefix).clean
    admin.delete_records({TopicPartition(clean, PARTITION): 2})
    admin.close()
    with CleanTopic(kafka_settings) as topic:
        found = list(topic.read(span((0, 3), (0, 3), 4)))
        gone = list(topic.read(span((0, 1), (0, 1), 2)))
    assert found[0] == Missing(partition=PARTITION, clean_first=0, clean_last=1)
    assert [one.raw_offset for one in found if isinstance(one, TracedDocument)] == [2, 3]
    assert gone == [Missing(partition=PARTITION, clean_first=0, clean_last=1)]


def test_a_line_of_parents_ends_where_the_store_does(tmp_path: Path) -> None:
    store = VersionStore(str(tmp_path))
    first = publish(store, 1, "lost", [])
    second = publish(store, 2, first, [])
    assert [one.version for one in line_of(store, second, whole=True)] == [second, first]
    assert [one.version for one in line_of(store, second, whole=False)] == [second]


def test_trace_shows_the_promoted_version_back_to_its_text(kafka_settings: Settings) -> None:
    write_clean(kafka_settings, [4, 6])
    store = VersionStore(Workspace(kafka_settings.data_dir).store_url)
    first = publish(store, 1, None, [span((4, 4), (0, 0), 1)])
    second = publish(store, 2, first, [span((6, 6), (1, 1), 1)])
    store.promote(second)
    options = [
        f"--data-dir={kafka_settings.data_dir}",
        f"--bootstrap-servers={kafka_settings.kafka.bootstrap_servers}",
        f"--set=kafka.topic_prefix={kafka_settings.kafka.topic_prefix}",
    ]
    shown = CliRunner().invoke(trace, options, catch_exceptions=False).output
    assert f"{second}  step 2, 1 document since {first}" in shown
    assert "raw 2 @ 6  step 1  source news  id d6\n    text 6" in shown
    assert "text 4" not in shown
    whole = CliRunner().invoke(trace, [*options, "--all", "--json"], catch_exceptions=False)
    line = json.loads(whole.output)
    assert [one["version"] for one in line] == [second, first]
    assert [one["documents"][0]["text"] for one in line] == ["text 6", "text 4"]
    assert line[1]["documents"][0]["raw_offset"] == 4
    bare = CliRunner().invoke(
        trace, [f"--data-dir={kafka_settings.data_dir}", "--offsets-only"], catch_exceptions=False
    )
    assert "raw 2 @ 6-6  clean 2 @ 1-1" in bare.output
