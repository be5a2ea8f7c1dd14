"""A whole learner but for Kafka: the real loop, gate, store, journal and new lines.

Text comes from a list, in order. Roll backs are carried out as a start of the learner does.
"""

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch
from prometheus_client import CollectorRegistry
from safetensors.torch import load_file

from learner.arrival import Arrival
from learner.checkpoint import Checkpoints
from learner.gate.gate import Gate
from learner.gate.reference import Reference
from learner.gate.setup import control_texts
from learner.identity import FILE, Identity
from learner.journal import Journal
from learner.left_out import StandingLeftOut
from learner.loop import Loop
from learner.machine import this_machine
from learner.probes.examiner import Examiner
from learner.probes.scoring import Scorer
from learner.probes.tasks import from_files
from learner.publish import Publisher
from learner.recipe import Recipe, Rhythm
from learner.restart import Restart
from learner.resume import replay, restore
from learner.state import State
from learner.step import Stepper
from learner.undo.intent import forget_intent, read_intent
from learner.undo.new_line import NewLine
from learner.undo.side import base_of, install
from learner.watch.surprise import Surprise
from learner.watch.watchers import Watchers
from riverrun.metrics import LearnerMetrics
from riverrun.records import Document
from riverrun.settings import GateSettings, WatchSettings
from riverrun.store import Manifest, VersionStore
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.undo.line import refetch_from

RHYTHM = Rhythm(
    publish_interval_s=0.0,
    publishing_share=1.0,
    rehearsal_interval_s=0.0,
    checkpoint_interval_s=1e6,
    keep_checkpoints=100,
    keep_versions=1000,
)


class ListIntake:
    """Documents that are there already."""

    def __init__(self) -> None:
        self._waiting: deque[Arrival] = deque()
        self.dropped: Counter[str] = Counter()

    def put(self, arrivals: Sequence[Arrival]) -> None:
        self._waiting.extend(arrivals)

    def listen(self, wait_s: float, gather_s: float, enough_characters: int) -> None:
        del wait_s, gather_s, enough_characters

    def __len__(self) -> int:
        return len(self._waiting)

    def first(self) -> Arrival:
        return self._waiting[0]

    def take(self) -> Arrival:
        return self._waiting.popleft()

    def lag(self) -> dict[int, int]:
        return {}

    def oldest_ms(self) -> int | None:
        return None


class Told(list[Manifest]):
    """Announcements that go nowhere."""

    def tell(self, manifest: Manifest) -> None:
        self.append(manifest)

    def advance(self) -> None:
        pass


Wrap = Callable[[Stepper], Stepper]


class River:
    """One learner. promoted: each version that serving was given, in order; versions: all."""

    def __init__(
        self,
        directory: Path,
        tokenizer: Tokenizer,
        recipe: Recipe,
        gate: GateSettings | None = None,
        wrap: Wrap = lambda stepper: stepper,
        texts: Sequence[Arrival] = (),
        rhythm: Rhythm = RHYTHM,
    ) -> None:
        """texts: what has come, where the directory has a learner already."""
        self.directory = directory
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.settings = gate or GateSettings(judging_share=1.0)
        self.wrap = wrap
        self.rhythm = rhythm
        self.store = VersionStore(str(directory / "store"))
        self.texts = list(texts)
        self.versions = Told()
        self.num_roll_backs = 0
        self.journal: Journal | None = None
        directory.mkdir(exist_ok=True)
        if not (directory / FILE).exists():
            (directory / FILE).write_bytes(msgspec.json.encode(fakes.identity(recipe)))
        self.start()

    def start(self) -> None:
        self.close()
        self.identity = msgspec.json.decode((self.directory / FILE).read_bytes(), type=Identity)
        self.state, self.stepper = self.parts()
        self.metrics = LearnerMetrics(CollectorRegistry())
        examiner = self.examiner()
        self.journal = Journal(self.directory / "journal")
        self.checkpoints = Checkpoints(self.directory / "checkpoints", 100)
        is_first = self.journal.is_empty
        publisher = Publisher(
            self.store, self.identity, self.journal, self.versions, self.metrics, 1000
        )  # type: ignore[arg-type]
        restore(self.state, self.checkpoints, self.journal, self.identity)
        if is_first:
            publisher.publish(self.state, {}, "the model as it was")
        refetch = refetch_from(self.texts, self.state.left_out)
        assert replay(self.state, self.journal, refetch, self.stepper, self.identity, self.metrics)
        reference = Reference(torch.float32)
        best = self.state.gate.facts.best or self.store.promoted()
        assert best is not None
        assert reference.load(self.store, best, torch.device("cpu"))
        surprise = Surprise(self.stepper.framing, self.recipe)
        self.gate = Gate(self.settings, surprise, reference, [examiner])
        self.intake = ListIntake()
        marks = self.state.progress.marks
        self.intake.put([a for a in self.texts if a.raw_offset > marks.get(a.partition, -1)])
        self.loop = Loop(
            stop=threading.Event(),
            state=self.state,
            stepper=self.stepper,
            intake=self.intake,  # type: ignore[arg-type]
            journal=self.journal,
            publisher=publisher,
            gate=self.gate,
            announcements=self.versions,  # type: ignore[arg-type]
            checkpoints=self.checkpoints,
            identity=self.identity,
            rhythm=self.rhythm,
            max_wait_s=0.0,
            metrics=self.metrics,
        )
        intent = read_intent(self.directory)
        if intent is not None:
            assert intent.phase == "installed"
            forget_intent(self.directory)

    def parts(self) -> tuple[State, Stepper]:
        state = fakes.state(self.recipe)
        stepper = fakes.stepper(self.tokenizer, self.recipe)
        watchers = Watchers(state, stepper.framing, self.recipe, WatchSettings())
        made = fakes.stepper(self.tokenizer, self.recipe, watches=[watchers])
        return state, self.wrap(made)

    def examiner(self) -> Examiner:
        """Of the files in the settings, while the model is untouched."""
        gate = self.settings
        examiner = Examiner(
            Scorer(self.stepper.framing, Surprise(self.stepper.framing, self.recipe)),
            from_files(gate.probe_files),
            control_texts(gate.control_file) if gate.control_file else [],
            gate.probe_interval_s,
            self.metrics,
        )
        examiner.prepare(self.directory, self.state.model)
        return examiner

    def learn(self, documents: Sequence[Document]) -> None:
        """All of them, and what is due, and whatever the gate does about it."""
        begin = len(self.texts)
        more = [Arrival(0, i, 2 * i, i, d) for i, d in enumerate(documents, begin)]
        self.texts += more
        self.intake.put(more)
        while len(self.intake) or len(self.state.rehearsal) or self.has_unpublished:
            try:
                self.loop.turn()
            except Restart:
                self.num_roll_backs += 1
                self.take_over()
        self.loop._checkpoint()
        self.checkpoints.finished(wait=True)
        self.loop._checkpoint_written()

    @property
    def has_unpublished(self) -> bool:
        return self.state.progress.step > self.state.progress.version_step

    def take_over(self) -> None:
        intent = read_intent(self.directory)
        assert intent is not None
        self.close()
        state, stepper = self.parts()
        base_of(self.directory, intent.first_step, state, self.identity)
        seen = StandingLeftOut(state.left_out.ranges)
        refetch = refetch_from(self.texts, seen)
        line = NewLine(self.directory, intent, self.identity, state, stepper, refetch, seen)
        assert line.grow(this_machine(torch.device("cpu")), 1, lambda _: None)
        install(self.directory, msgspec.structs.replace(intent, phase="install"))
        self.start()

    def __enter__(self) -> "River":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()
            self.checkpoints.close()

    # What is served

    def bits_per_byte(self, version: str, texts: Sequence[str]) -> float:
        """Of texts of the test's own, under a version's weights in the store."""
        model = fakes.model()
        with self.store.weights(version) as path:
            model.load_state_dict(load_file(path), strict=False)
        surprise = Surprise(self.stepper.framing, self.recipe)
        nats = sum(surprise.nats(model, texts))
        return nats / sum(len(text.encode()) for text in texts) / 0.6931

    def promoted(self) -> list[Manifest]:
        return [m for m in self.versions if m.decision == "promote"]


def documents(texts: Sequence[str], source: str) -> list[Document]:
    return [Document(text=text, source=source, timestamp_ms=i) for i, text in enumerate(texts)]


def sentences(num: int, seed: int) -> list[str]:
    """Clean text that a model of a few thousand weights can learn: a small grammar."""
    chance = random.Random(seed)
    who = ["the river", "a boat", "the old ferry", "a heron", "the miller", "rain"]
    does = ["runs to", "waits at", "turns by", "comes from", "rests near"]
    where = ["the sea", "the bridge", "the mill", "a green hill", "the town"]
    return [
        " ".join(
            f"{chance.choice(who)} {chance.choice(does)} {chance.choice(where)}." for _ in range(3)
        )
        for _ in range(num)
    ]
