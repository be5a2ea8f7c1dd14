"""Poison through the whole system: the gate goes back by itself, and clean text is learned on.

The real Kafka, stream, learner and serving. `tests/learner/test_poison.py` holds the same laws of
the loop alone; here versions are pruned, processes die, and somebody asks all the while.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import pytest

from riverrun.client import Client
from riverrun.errors import RiverrunError
from riverrun.produce import Record, produce
from riverrun.receipt import Receipt
from riverrun.records import Document, VersionEvent
from riverrun.settings import GateSettings, KafkaSettings, LearnerSettings, Settings
from riverrun.store import Manifest
from riverrun.supervisor import System
from tests.learner.gate.river import sentences
from tests.learner.test_poison import CLOSE, garbage, shuffled
from tests.system.river import River, comes_true, riverrun, wait_until

LEARNER = LearnerSettings(
    # Neither replay nor a second pass: poison does its harm within ten steps, not a hundred.
    strategy="finetune",
    max_passes=1,
    # What is served follows the weights within ten steps; an average over a hundred hides the harm.
    ema_decay=0.9,
    warmup_steps=5,
    # Of 200 documents 40 are held out: enough to judge by after the first 50.
    held_out_share=0.2,
    held_out_after=8,
    # A version a step, for the rules count versions.
    publishing_share=1.0,
)
# No version waits for judging time, however slow the machine.
GATE = GateSettings(judging_share=1.0)
CLEAN = "clean"
OWN = sentences(64, seed=99)
"""Clean text that is only ever asked about."""
AT_ONCE = 16
"""More of them, and versions come faster than they are scored."""
CLOSE_TO_OWN = 1.1
"""It is other text than what the gate judges by: 9.7% worse was seen while that fell."""

Place = tuple[int, int]
"""Raw partition and offset."""


@pytest.fixture(scope="module")
def clean_river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[River]:
    """A system that has learned clean text until it matters what comes next."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("poisoned") / "riverrun-data",
        model="tiny",
        kafka=KafkaSettings(heap_mb=256),
        learner=LEARNER,
        gate=GATE,
    )
    with System(settings) as system:
        system.wait_ready(180)
        river = River(settings, system)
        sent = send(river, sentences(600, seed=1), CLEAN)
        wait_until(lambda: serves(river, sent), "clean text is learned")
        yield river


def send(river: River, texts: Sequence[str], source: str) -> Receipt:
    return produce(river.settings, [Record(text.encode(), source=source) for text in texts])


def promoted(river: River) -> Manifest:
    version = river.store.promoted()
    assert version is not None
    return river.store.manifest(version)


def serves(river: River, sent: Receipt) -> bool:
    """Whether the promoted version has seen all of it."""
    offsets = promoted(river).offsets
    return all(offsets.get(place, 0) > last for place, last in sent.offsets.items())


def learn_on(river: River, rolled: Manifest) -> None:
    """Clean text flows until a version of the new line that has seen all of it is promoted.

    One portion alone may end with a version that is held: without replay, and judged on some forty
    texts, one in a few is 1% worse than the best by chance (1.013 was seen).
    """
    for portion in range(12):
        sent = send(river, sentences(60, seed=1000 * rolled.step + portion), CLEAN)
        if comes_true(
            lambda sent=sent: promoted(river).replaces == rolled.run and serves(river, sent), 15
        ):
            return
    pytest.fail("clean text is not learned on")


class Asker:
    """Answers and scores, one after the other, from the promoted version of the moment.

    losses: bits a byte of `OWN`, of each round over all of it, by whatever was served meanwhile. A
    version that is twice as bad is told by one of a round's four parts.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.failed: list[str] = []
        self.num_answers = 0
        self._bits = self._bytes = 0.0

    def ask(self, client: Client) -> None:
        first = AT_ONCE * (self.num_answers % (len(OWN) // AT_ONCE))
        try:
            client.generate("the river", max_tokens=8)
            scores = client.score(OWN[first : first + AT_ONCE]).scores
        except RiverrunError as error:
            self.failed.append(str(error))
            return
        self._bits += sum(one.bits_per_byte * one.bytes for one in scores)
        self._bytes += sum(one.bytes for one in scores)
        self.num_answers += 1
        if first + AT_ONCE == len(OWN):
            self.losses.append(self._bits / self._bytes)
            self._bits = self._bytes = 0.0


@contextmanager
def asking(river: River) -> Iterator[Asker]:
    asker, stop = Asker(), threading.Event()

    def run() -> None:
        # A client that tries again would hide what failed.
        with Client(river.address("serving"), timeout_s=60, retries=0) as client:
            while not stop.wait(0.05):
                asker.ask(client)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: asker.num_answers > 0, "answers come")
        yield asker
    finally:
        stop.set()
        thread.join()


def rolled_back(river: River, source: str) -> list[Manifest]:
    """Versions that were rolled back with `source` in quarantine from then on."""
    manifests = [river.store.manifest(version) for version in river.store.ids()]
    return [
        manifest
        for manifest in manifests
        if manifest.decision == "roll_back"
        and any((c.kind, c.subject) == ("quarantined", source) for c in manifest.consequences)
    ]


def sources(river: River) -> dict[Place, str]:
    """Of every clean record, by its raw place."""
    return {
        (partition, int(headers["raw-offset"])): msgspec.json.decode(value, type=Document).source
        for partition, headers, value in river._read(river.topics.clean)
    }


def events(river: River) -> list[VersionEvent]:
    return [
        msgspec.json.decode(value, type=VersionEvent)
        for _, _, value in river._read(river.topics.versions)
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("source", "poison", "is_killed"),
    [("noise", garbage(100), False), ("anagrams", shuffled(200), True)],
)
def test_poison_is_rolled_back_while_answers_run_and_clean_text_is_learned_on(
    clean_river: River, source: str, poison: list[str], is_killed: bool
) -> None:
    """is_killed: the learner, between the version and its roll back, and in the middle of that."""
    river = clean_river
    before = promoted(river)
    with asking(river) as asker:
        send(river, poison, source)
        wait_until(lambda: rolled_back(river, source) != [], "a version is rolled back")
        [rolled] = rolled_back(river, source)
        if is_killed:
            river.kill("learner", until_ready=False)
            side = river.workspace.root / "learner" / "undo"
            wait_until(
                lambda: side.exists() or promoted(river).replaces == rolled.run, "it goes on"
            )
            river.kill("learner", until_ready=False)
        learn_on(river, rolled)
        with river.client() as client:
            wait_until(lambda: is_served(client, promoted(river)), "and served")
    assert asker.failed == []

    # What was served stays close to the best; the poison did harm, and none of it was served.
    manifests = [river.store.manifest(version) for version in river.store.versions()]
    since = [m for m in manifests if m.created_ms > before.created_ms]
    assert max(m.metrics.get("worst_ratio", 1.0) for m in since) > 1.2, "harmless poison"
    ratios = [m.metrics.get("worst_ratio", 1.0) for m in since if m.decision == "promote"]
    assert max(ratios) < CLOSE
    assert len(asker.losses) > 10
    for i, loss in enumerate(asker.losses):
        assert loss < CLOSE_TO_OWN * min(asker.losses[: i + 1])

    # It can be read everywhere: audit log, versions, status.
    assert [m.version for m in rolled_back(river, source)] == [rolled.version], "once is enough"
    log = events(river)
    told = {(event.kind, event.version, event.subject) for event in log}
    assert ("rolled_back", rolled.version, None) in told
    assert ("quarantined", rolled.version, source) in told
    [first] = {event.version for event in log if event.replaces == rolled.run}
    rows = {row["version"]: row for row in json.loads(riverrun(river, "versions", "--json"))}
    assert rows[rolled.version]["decision"] == "roll_back"
    assert f"quarantined {source}" in rows[rolled.version]["consequences"]
    status = json.loads(riverrun(river, "status", "--json"))
    assert source in status["learner"]["quarantine"]
    assert CLEAN not in status["learner"]["quarantine"]

    # The new line begins from bits that were promoted, whatever died on the way. A step whose text
    # is all held out gives the same bits another version.
    sha256 = river.store.manifest(first).sha256
    same = [m for m in manifests if (m.run, m.sha256) == (rolled.run, sha256)]
    assert {m.decision for m in same} == {"promote"}
    best = max(same, key=lambda m: m.step)

    # The trace of what is served: clean text all and once, poison only from before the best.
    shown = json.loads(riverrun(river, "trace", "--all", "--json"))
    documents = [one for version in shown for one in version["documents"]]
    learned = Counter((one["partition"], one["raw_offset"]) for one in documents)
    assert set(learned.values()) == {1}, "learned twice"
    held_out = river.held_out()
    assert not held_out & set(learned)
    clean = {place for place, name in sources(river).items() if name == CLEAN}
    assert clean <= set(learned) | held_out
    assert all(one["step"] <= best.step for one in documents if one["source"] == source)

    # Of the poison each record is learned, held out, left out or kept in quarantine.
    sent_by_it = {place for place, name in sources(river).items() if name == source}
    left_out = promoted(river).left_out
    gone = {place for place in sent_by_it if any(one.takes(*place, source) for one in left_out)}
    num_kept = len(sent_by_it - set(learned) - held_out - gone)
    wait_until(lambda: num_in_quarantine(river, source) == num_kept, "the rest is kept")


def num_in_quarantine(river: River, source: str) -> int | None:
    learner = river.look().learner
    return None if learner is None else learner.quarantine.get(source)


def is_served(client: Client, manifest: Manifest) -> bool:
    version = client.status().version
    return version is not None and version.id == manifest.version
