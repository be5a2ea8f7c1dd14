"""The real process on a real Kafka: killed or paused at any moment, it has learned each document
once.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
import torch
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from learner.assembly import Assembly
from learner.checkpoint import Checkpoints
from learner.identity import read
from learner.intake import Intake
from learner.journal import Journal
from learner.origin import Origin
from learner.resume import replay
from learner.snapshots import hashes
from learner.verify import verify
from riverrun.kafka import Topics, client_options
from riverrun.metrics import LearnerMetrics
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.records import Span, VersionEvent
from riverrun.settings import LearnerSettings, Settings
from riverrun.store import Manifest
from riverrun.tokenizer import Tokenizer
from tests.learner.clean_topic import CleanTopic
from tests.learner.learner_process import DEADLINE_S, Learner, command, environment


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    """Checkpoints as often as can be, and all kept: the whole journal can be done again."""
    learner = LearnerSettings(
        num_threads=1,
        nice=0,
        checkpoint_interval_s=0.3,
        keep_checkpoints=1000,
        max_passes=2,
        lease_s=2.0,
    )
    return kafka_settings.model_copy(update={"learner": learner})


@pytest.fixture
def learner(settings: Settings) -> Iterator[Learner]:
    settings.data_dir.mkdir()
    made = Learner(settings)
    yield made
    if made.child.poll() is None:
        made.kill()


@pytest.fixture
def clean(settings: Settings) -> Iterator[CleanTopic]:
    made = CleanTopic(settings)
    yield made
    made.close()


def spans_of(manifests: list[Manifest]) -> list[Span]:
    return [span for manifest in manifests for span in manifest.learned]


KILLS = int(os.environ.get("TEST_KILLS", "3"))
"""`TEST_KILLS=20` is the full test."""


def test_killed_at_random_moments_it_learns_each_document_once(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    """Duplicates among the records; bits equal to the journal done again from the beginning.

    Every other kill is at a moment, the others just before a file operation: an open for writing,
    a rename, a link or a removal in journal, checkpoints, lease or store.
    """
    dice = random.Random(4)
    learner.wait(lambda: learner.has_learned(0))
    sent: Counter[int] = Counter()
    for burst in range(KILLS + 1):
        for _ in range(10):
            partition = dice.randrange(4)
            clean.put(partition, sent[partition])
            if dice.random() < 0.3:
                clean.put(partition, sent[partition])
            sent[partition] += 1
        if burst == KILLS:
            break
        if burst % 2:
            learner.kill()
            learner.start(killed_at=dice.randrange(1, 120))
            assert learner.wait_end() == -signal.SIGKILL, learner.log.read_text()
        else:
            # From here on it may be in a step, a journal line, a version or a checkpoint.
            learner.wait(lambda: learner.has_learned(sent.total() - dice.randrange(1, 10)))
            time.sleep(dice.random() * 0.2)
            learner.kill()
        learner.start()
    learner.wait(lambda: learner.has_learned(sent.total()))
    assert learner.stop() == 0
    assert_learned_once(learner, sent)
    assert_bits_are_those_of_the_log(settings, learner)


def assert_learned_once(learner: Learner, sent: Counter[int]) -> None:
    line = learner.line()
    assert line[0].step == 0
    assert line[-1].num_documents == sent.total()
    assert line[-1].offsets == dict(sorted(sent.items()))
    raw_spans: dict[int, list[tuple[int, int]]] = {}
    for span in spans_of(line):
        assert span.num_documents == span.raw_last - span.raw_first + 1
        raw_spans.setdefault(span.partition, []).append((span.raw_first, span.raw_last))
    for partition, spans in raw_spans.items():
        covered = [offset for first, last in spans for offset in range(first, last + 1)]
        assert covered == list(range(sent[partition]))
    # No version that was ever published is off the line: each was followed by its successor.
    assert learner.store.versions() == [manifest.version for manifest in line]


def assert_bits_are_those_of_the_log(settings: Settings, learner: Learner) -> None:
    """Each version's weights, and every part of the last checkpoint."""
    line = learner.line()
    verified = verify(settings, line[0].version, line[-1].version, lambda *_: None)
    assert verified.versions == [manifest.version for manifest in line]
    assert verified.from_step == 0
    directory = settings.data_dir / "learner"
    kept, again = assembly(settings), assembly(settings)
    identity = read(directory / "identity.json")
    assert Checkpoints(directory / "checkpoints", 1000).restore_newest(kept.state, identity)
    replay_all(settings, again)
    assert hashes(kept.state.parts) == hashes(again.state.parts)


def assembly(settings: Settings) -> Assembly:
    identity = read(settings.data_dir / "learner" / "identity.json")
    model_files = locate("tiny")
    model = files.load(model_files, torch.float32)
    return Assembly(identity.recipe, identity.seed, model, Tokenizer(model_files))


def replay_all(settings: Settings, again: Assembly) -> None:
    """The untouched model and the whole journal."""
    directory = settings.data_dir / "learner"
    identity = read(directory / "identity.json")
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    journal = Journal(directory / "journal")
    intake = Intake(client_options(settings.kafka, [servers]), identity.topic, 1 << 20)
    metrics = LearnerMetrics(CollectorRegistry())
    stepper = again.stepper(Origin.empty())
    assert replay(again.state, journal, intake.refetch, stepper, identity, metrics)
    intake.close()
    journal.close()


def test_paused_for_longer_than_its_lease_it_is_followed_and_does_nothing_more(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    learner.wait(lambda: learner.has_learned(0))
    for offset in range(20):
        clean.put(0, offset)
    learner.wait(lambda: learner.has_learned(5))
    learner.pause()
    second = Learner(settings, "log of the second")
    try:
        for offset in range(20, 40):
            clean.put(0, offset)
        second.wait(lambda: second.has_learned(40))
        before = traces(settings)
        learner.child.send_signal(signal.SIGCONT)
        assert learner.wait_end() == 1
        assert "this learner (term 1) was silent for longer" in learner.log.read_text()
        assert traces(settings) >= before
        record = second.workspace.running("learner")
        assert record is not None
        assert record.pid == second.child.pid, "the first one leaves the second one's record alone"
        for offset in range(40, 45):
            clean.put(0, offset)
        second.wait(lambda: second.has_learned(45))
        assert second.stop() == 0
    finally:
        if second.child.poll() is None:
            second.kill()
    assert_learned_once(second, Counter({0: 45}))
    assert_bits_are_those_of_the_log(settings, second)


def traces(settings: Settings) -> set[str]:
    """Versions, checkpoints and journal files."""
    learner = settings.data_dir / "learner"
    places = [
        settings.data_dir / "store" / "versions",
        learner / "checkpoints",
        learner / "journal",
    ]
    return {str(path) for place in places for path in place.iterdir()}


def test_versions_are_verified_beside_the_running_learner_and_a_changed_one_is_named(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    for offset in range(10):
        clean.put(0, offset)
        learner.wait(lambda: learner.has_learned(offset + 1))  # noqa: B023 - waited for here
    code, said = riverrun("verify", settings)
    assert code == 0, said
    assert "versions are bit for bit what the log gives" in said
    assert "from the untouched model" in said
    to = learner.line()[4].version
    code, said = riverrun("verify", settings, "--to", to)
    assert code == 0, said
    *equal, summary = said.splitlines()
    assert equal == [f"{manifest.version}  equal" for manifest in learner.line()[:5]]
    assert summary.startswith("5 versions are bit for bit what the log gives")
    code, said = riverrun("verify", settings, "--from", learner.line()[5].version, "--to", to)
    assert code == 2, said
    assert f"--from: '{learner.line()[5].version}'" in said
    assert f"a version that {to} descends from" in said
    third = learner.line()[3]
    manifest = settings.data_dir / "store" / "versions" / third.version / "manifest.json"
    changed = msgspec.structs.replace(third, sha256="0" * 64)
    manifest.write_bytes(msgspec.json.encode(changed))
    code, said = riverrun("verify", settings, "--from", learner.line()[2].version)
    assert code == 1, said
    assert f"{third.version} (step {third.step}) is the first version that differs" in said
    assert learner.stop() == 0


def test_the_learned_offsets_are_shown_to_tools_that_know_consumer_groups(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    for offset in range(3):
        clean.put(2, offset)
    learner.wait(lambda: learner.has_learned(3))
    assert learner.stop() == 0
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    group = f"{settings.kafka.topic_prefix}riverrun-learner"
    shown = admin.list_group_offsets({group: None})[group]
    admin.close()
    topic = Topics(settings.kafka.topic_prefix).clean
    assert shown[TopicPartition(topic, 2)].offset == 3


def test_each_version_is_told_to_kafka(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    clean.put(0, 0)
    learner.wait(lambda: learner.has_learned(1))
    assert learner.stop() == 0
    wanted = {(m.version, kind) for m in learner.line() for kind in ("published", "promoted")}
    assert wanted == events(settings)
    assert (learner.line()[-1].metrics.keys()) >= {"prequential_loss", "gradient_norm", "rate"}


def events(settings: Settings) -> set[tuple[str, str]]:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers)
    partition = TopicPartition(Topics(settings.kafka.topic_prefix).versions, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    found: set[tuple[str, str]] = set()
    deadline = time.monotonic() + DEADLINE_S
    while consumer.position(partition) < end and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                event = msgspec.json.decode(record.value, type=VersionEvent)
                assert record.key.decode() == event.version
                found.add((event.version, event.kind))
    consumer.close()
    return found


def test_a_second_learner_and_other_settings_are_refused(
    learner: Learner, settings: Settings
) -> None:
    learner.wait(lambda: learner.has_learned(0))
    code, said = refused(settings)
    assert code == 1
    assert "is in use: `learner` runs there already" in said
    assert learner.stop() == 0
    changed = settings.learner.model_copy(update={"lr": 0.125})
    code, said = refused(settings.model_copy(update={"learner": changed}))
    assert code == 1
    assert "learner.lr is 0.003 there, 0.125 was asked for" in said


def refused(settings: Settings) -> tuple[int, str]:
    """Exit code and last line of a learner that does not start."""
    code, said = run(command(settings))
    return code, said.splitlines()[-1]


def riverrun(name: str, settings: Settings, *more: str) -> tuple[int, str]:
    return run([name, *command(settings)[1:], *more])


def run(words: list[str]) -> tuple[int, str]:
    """Exit code, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-m", "riverrun", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stdout
