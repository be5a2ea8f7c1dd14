"""The real process on a real Kafka: killed at any moment, it has learned each document once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest
import torch
from kafka import KafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from learner.framing import Framing
from learner.identity import read
from learner.intake import Intake
from learner.journal import Journal
from learner.origin import Origin
from learner.publish import hash_of_published
from learner.resume import replay
from learner.state import State
from learner.step import Stepper
from learner.strategies.registry import strategy_of
from riverrun.kafka import Topics, client_options
from riverrun.metrics import LearnerMetrics
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.records import Span, VersionEvent
from riverrun.settings import LearnerSettings, Settings
from riverrun.store import Manifest, VersionStore
from riverrun.tokenizer import Tokenizer
from riverrun.workspace import Workspace
from tests.learner.clean_topic import CleanTopic

DEADLINE_S = 60.0


class Learner:
    """`riverrun learner` as a child process."""

    def __init__(self, settings: Settings) -> None:
        self.workspace = Workspace(settings.data_dir)
        self.store = VersionStore(self.workspace.store_url)
        self.settings = settings
        self.log = settings.data_dir / "log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *command(self.settings)],
                stdout=log,
                stderr=log,
                env=environment(),
            )

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def stop(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(DEADLINE_S)

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.child.poll() is None, self.log.read_text()
            if time.monotonic() > deadline:
                # faulthandler writes into the log where it hangs.
                self.child.send_signal(signal.SIGABRT)
                self.child.wait()
                raise AssertionError(self.log.read_text())
            time.sleep(0.005)

    def promoted(self) -> Manifest | None:
        version = self.store.promoted()
        return None if version is None else self.store.manifest(version)

    def has_learned(self, num_documents: int) -> bool:
        manifest = self.promoted()
        return manifest is not None and manifest.num_documents >= num_documents

    def line(self) -> list[Manifest]:
        """The promoted version and its parents, oldest first."""
        manifest = self.promoted()
        found = []
        while manifest is not None:
            found.append(manifest)
            manifest = self.store.manifest(manifest.parent) if manifest.parent else None
        return found[::-1]


def command(settings: Settings) -> list[str]:
    """What Python is to run: the learner with these settings."""
    words = ["-m", "riverrun", "learner", "--data-dir", str(settings.data_dir), "--model", "tiny"]
    for section, values in settings.model_dump(mode="json", exclude_unset=True).items():
        if isinstance(values, dict):
            for key, value in values.items():
                words += ["--set", f"{section}.{key}={value}"]
    return words


def environment() -> dict[str, str]:
    return {name: v for name, v in os.environ.items() if not name.startswith("RIVERRUN_")}


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    """Checkpoints as often as can be, and all kept: the whole journal can be done again."""
    learner = LearnerSettings(
        num_threads=1, nice=0, checkpoint_interval_s=0.3, keep_checkpoints=1000, max_passes=2
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


def test_killed_at_random_moments_it_learns_each_document_once(
    learner: Learner, clean: CleanTopic, settings: Settings
) -> None:
    """Duplicates among the records; bits equal to the journal done again from the beginning."""
    dice = random.Random(4)
    learner.wait(lambda: learner.has_learned(0))
    sent: Counter[int] = Counter()
    kills = 3
    for burst in range(kills + 1):
        for _ in range(10):
            partition = dice.randrange(4)
            clean.put(partition, sent[partition])
            if dice.random() < 0.3:
                clean.put(partition, sent[partition])
            sent[partition] += 1
        if burst < kills:
            # From here on it may be in a step, a journal line, a version or a checkpoint.
            learner.wait(lambda: learner.has_learned(sent.total() - dice.randrange(1, 10)))
            time.sleep(dice.random() * 0.2)
            learner.kill()
            learner.start()
    learner.wait(lambda: learner.has_learned(sent.total()))
    assert learner.stop() == 0

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
    assert replayed_hash(settings, line[-1].step) == line[-1].sha256


def replayed_hash(settings: Settings, step: int) -> str:
    """Of the published weights after `step`, from the untouched model and the journal alone."""
    directory = settings.data_dir / "learner"
    identity = read(directory / "identity.json")
    recipe = identity.recipe
    model_files = locate("tiny")
    framing = Framing(
        Tokenizer(model_files), recipe.framings, recipe.block_tokens, recipe.study_pairs
    )
    strategy = strategy_of(recipe, framing.prefix)
    stepper = Stepper(recipe, identity.seed, framing, strategy, Origin.empty())
    state = State(files.load(model_files, torch.float32), recipe)
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    journal = Journal(directory / "journal")
    intake = Intake(client_options(settings.kafka, [servers]), identity.topic, 1 << 20)
    metrics = LearnerMetrics(CollectorRegistry())
    is_there = lambda: state.progress.step >= step  # noqa: E731
    replay(state, journal, intake.refetch, stepper, identity, metrics, is_there)
    intake.close()
    journal.close()
    return hash_of_published(state, recipe)


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
    done = subprocess.run(
        [sys.executable, *command(settings)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[-1]
