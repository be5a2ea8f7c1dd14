"""A learner without Kafka or a store: steps as they are listed, a journal, checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from prometheus_client import CollectorRegistry

from learner.arrival import Arrival, ranges_of, raw_of
from learner.checkpoint import Checkpoints
from learner.entries import Diverted, Learned, Quarantined, Released
from learner.identity import FILE, Identity
from learner.journal import Journal
from learner.left_out import StandingLeftOut
from learner.machine import this_machine
from learner.redo import Refetch, divert
from learner.resume import enter, replay, restore
from learner.undo.intent import Intent, read_intent, write_intent
from learner.undo.new_line import NewLine
from learner.undo.plan import Plan, Planner
from learner.undo.side import base_of
from learner.undo.take_over import carry_out
from riverrun.metrics import LearnerMetrics
from riverrun.records import LeftOut
from riverrun.store import VersionStore
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

OLDEST = {0: 0, 1: 0, 2: 0, 3: 5}
"""What Kafka has when a run begins. Nothing ever comes in the last partition."""


class Line:
    """In one directory; another one in it goes on where the last one was."""

    def __init__(
        self, directory: Path, tokenizer: Tokenizer, texts: Sequence[Arrival], keep: int = 9
    ) -> None:
        self.directory = directory
        self.texts = texts
        self.tokenizer = tokenizer
        directory.mkdir(exist_ok=True)
        if not (directory / FILE).exists():
            (directory / FILE).write_bytes(msgspec.json.encode(fakes.identity()))
        self.identity = msgspec.json.decode((directory / FILE).read_bytes(), type=Identity)
        self.successor: Line | None = None
        self.state = fakes.state()
        self.stepper = fakes.stepper(tokenizer)
        self.journal = Journal(directory / "journal")
        self.checkpoints = Checkpoints(directory / "checkpoints", keep)
        metrics = LearnerMetrics(CollectorRegistry())
        restore(self.state, self.checkpoints, self.journal, self.identity)
        refetch = refetch_from(texts, self.state.left_out)
        assert replay(self.state, self.journal, refetch, self.stepper, self.identity, metrics)
        enter(self.state, self.journal, OLDEST, lambda _: OLDEST)

    def learn(self, arrivals: Sequence[Arrival], released: str | None = None) -> None:
        """A step on new text, or on due documents."""
        kept, _ = self.state.left_out.part(arrivals)
        if kept and released is None and not self.state.quarantine.divert(kept).kept:
            divert(self.state, kept)
            self.journal.append(Diverted(ranges_of(kept), raw_of(kept)))
            return
        report = self.stepper.step(self.state, kept, released=released)
        assert report is not None
        self.journal.append(
            Learned(
                report.step,
                ranges_of(kept),
                raw_of(kept),
                released,
                rests=not len(self.state.rehearsal),
                took_ms=10,
            )
        )

    def rest(self) -> None:
        """Rehearse until nothing is due."""
        while len(self.state.rehearsal):
            self.learn([])

    def quarantine(self, source: str) -> None:
        self.state.quarantine.add(source, "", self.state.progress.step)
        self.journal.append(Quarantined(source))

    def release(self, source: str) -> None:
        self.state.quarantine.release(source)
        self.journal.append(Released(source))

    def checkpoint(self) -> None:
        self.journal.begin_file(self.state.progress.step)
        written = self.checkpoints.write(self.state, self.identity)
        if written is not None and written.num_pruned:
            self.journal.forget_before(written.oldest)

    def plan(self, wanted: Sequence[LeftOut], store: VersionStore | None = None) -> Plan:
        store = store or VersionStore(str(self.directory / "store"))
        refetch = refetch_from(self.texts, self.state.left_out)
        return Planner(self.directory, store, refetch).plan(wanted, self.state.progress.version)

    def undo(self, *wanted: LeftOut, run: str = "cd34") -> "Line":
        """Plan, carry out, install; gives the learner that begins anew."""
        plan = self.plan(wanted)
        intent = Intent(
            left_out=plan.left_out,
            first_step=plan.first_step,
            reason="",
            replaces=self.identity.run,
            run=run,
            quarantine=plan.quarantine,
        )
        write_intent(self.directory, intent)
        self.close()
        begin_anew(self.directory, self.tokenizer, self.texts)
        self.successor = Line(self.directory, self.tokenizer, self.texts)
        return self.successor

    def close(self) -> None:
        if self.successor is not None:
            self.successor.close()
        self.journal.close()
        self.checkpoints.close()

    def bits(self) -> dict[str, str]:
        """A hash of all that a step reads or changes, but for what was left out on purpose."""
        found = fakes.bits(self.state)
        del found["left_out"]
        return found


def begin_anew(directory: Path, tokenizer: Tokenizer, texts: Sequence[Arrival]) -> None:
    """What a start of the learner does with an intent that is there."""
    intent = read_intent(directory)
    if intent is None or intent.phase == "installed":
        return
    identity = msgspec.json.decode((directory / FILE).read_bytes(), type=Identity)

    def learn_again() -> bool:
        state = fakes.state()
        base_of(directory, intent.first_step, state, identity)
        seen = StandingLeftOut(state.left_out.ranges)
        stepper, refetch = fakes.stepper(tokenizer), refetch_from(texts, seen)
        line = NewLine(directory, intent, identity, state, stepper, refetch, seen)
        return line.grow(this_machine(torch.device("cpu")), 1, lambda _: None)

    assert carry_out(directory, intent, learn_again)


def refetch_from(texts: Sequence[Arrival], left_out: StandingLeftOut) -> Refetch:
    """The same without what was undone, as the intake gives it."""
    whole = fakes.refetch_from(texts)

    def refetch(ranges, marks, source=None):  # type: ignore[no-untyped-def]
        return left_out.part(whole(ranges, marks, source))[0]

    return refetch
