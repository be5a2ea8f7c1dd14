"""The line of weights that takes over: the log learned again without what is left out.

It grows in a directory of its own (`side.py`), from the newest checkpoint before the first step
that is affected (or the untouched model). A step of which nothing is left vanishes, and those
behind it move up: as every random choice derives from the run's seed and the step's number, the
line is bit for bit that of a learner that never saw the text. What follows from the state is not
copied but done again: rehearsal goes on for as long as something is due, held-out text and the
memory are what they become.

Called by `take_over.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from learner.arrival import Arrival, ranges_of, raw_of
from learner.entries import (
    Announced,
    Decided,
    Diverted,
    Emptied,
    Entered,
    Entry,
    Learned,
    Passed,
    Published,
    Quarantined,
    Released,
    Started,
    Undone,
)
from learner.identity import Identity
from learner.journal_file import entries_from
from learner.left_out import StandingLeftOut
from learner.machine import Machine
from learner.redo import Refetch, divert, documents_of, redo
from learner.state import State
from learner.step import Stepper, pass_over
from learner.step_report import StepReport
from learner.undo.intent import Intent
from learner.undo.side import complete, lay_out


class NewLine:
    """See the module."""

    def __init__(
        self,
        directory: Path,
        intent: Intent,
        identity: Identity,
        state: State,
        stepper: Stepper,
        refetch: Refetch,
        seen: StandingLeftOut,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """state: at the base. refetch: leaves out `seen`, which was undone before, and no more."""
        self._directory = directory
        self._intent = intent
        self._identity = identity
        self._state = state
        self._stepper = stepper
        self._refetch = refetch
        self._seen = seen
        self._is_stopping = is_stopping
        self._leaving = StandingLeftOut(intent.left_out)
        self._base = state.progress.step
        self._took_ms = 0
        self._has_acted = False

    def grow(self, machine: Machine, term: int, progress: Callable[[int], None]) -> bool:
        """Learn the whole line; False when stopped before its end.

        progress: told the old line's step now and then.
        """
        self._journal = lay_out(self._directory, self._base)
        try:
            self._begin(machine, term)
            for entry in self._old_entries():
                if self._is_stopping():
                    return False
                if not self._again(entry):
                    return False
                if isinstance(entry, Learned):
                    progress(entry.step)
            self._journal.begin_file(self._state.progress.step)
        finally:
            self._journal.close()
        identity = self._identity.succeeded_by(self._intent.run)
        complete(self._directory, self._state, identity, self._base)
        return True

    def _old_entries(self) -> Iterator[Entry]:
        journal = self._directory / "journal"
        self._announced = {
            entry.version
            for entry in entries_from(journal, self._base)
            if isinstance(entry, Announced)
        }
        return entries_from(journal, self._base)

    def _begin(self, machine: Machine, term: int) -> None:
        # A roll back leaves alone what its sources sent before the first step that differs.
        apart = [] if self._intent.kind == "rolled_back" else self._intent.quarantine
        self._do(Undone(self._intent.left_out, self._intent.replaces, apart))
        self._append(Started(machine, term))

    def _again(self, entry: Entry) -> bool:
        """One entry of the old line; False when stopped."""
        state = self._state
        if isinstance(entry, Learned) and entry.step >= self._intent.first_step:
            self._act()
        match entry:
            case Learned() if not entry.ranges:
                return self._rehearse(entry)
            case Learned() if entry.source is not None:
                return self._learn_released(entry, entry.source)
            case Learned():
                arrivals = documents_of(state, entry, self._refetch)
                return self._learn_new(arrivals) and self._rest(entry)
            case Diverted():
                return self._learn_new(self._refetch(entry.ranges, state.progress.marks))
            case Published():
                if entry.step < self._intent.first_step:
                    redo(state, entry, self._stepper, self._refetch)
                    self._append(entry)
                    if entry.version in self._announced:
                        self._append(Announced(entry.version))
            case Decided():
                # Later ones were made on what is no more.
                if entry.step < self._intent.first_step:
                    redo(state, entry, self._stepper, self._refetch)
                    self._append(entry)
            case Undone():
                self._seen.add(entry.left_out)
                redo(state, entry, self._stepper, self._refetch)
                self._append(entry)
            case Entered() | Passed() | Quarantined() | Released():
                redo(state, entry, self._stepper, self._refetch)
                self._append(entry)
            case Emptied():
                if state.quarantine.is_reading(entry.source, entry.partition):
                    redo(state, entry, self._stepper, self._refetch)
                    self._append(entry)
            case Started() | Announced():
                pass
        return True

    def _act(self) -> None:
        """What the new line does otherwise, before its first step that may differ; once."""
        is_due = self._intent.actions or self._intent.kind == "rolled_back"
        if is_due and not self._has_acted:
            self._has_acted = True
            decided = Decided(
                self._state.progress.step,
                self._intent.actions,
                reason=self._intent.reason,
                by=self._intent.kind,
                best=self._intent.best,
            )
            self._do(decided)
            if self._intent.kind == "rolled_back":
                for source in self._intent.quarantine:
                    self._do(Quarantined(source, self._intent.reason))

    def _learn_new(self, arrivals: Sequence[Arrival]) -> bool:
        """The text of a step, without what is left out: a step, or none."""
        state = self._state
        kept, gone = self._leaving.part(arrivals)
        if kept and not state.quarantine.divert(kept).kept:
            divert(state, kept)
            self._append(Diverted(ranges_of(kept), raw_of(kept)))
        elif kept:
            report = self._step(kept)
            if report is None:
                return False
            self._learned(report, kept)
        if gone:
            pass_over(state, gone)
            partitions = {arrival.partition for arrival in gone}
            self._append(
                Passed(
                    {p: state.progress.marks[p] for p in partitions},
                    {p: state.progress.next_clean[p] for p in partitions},
                )
            )
        return True

    def _learn_released(self, entry: Learned, source: str) -> bool:
        """Text that was kept in quarantine; nothing when the new line did not keep it."""
        partition = entry.ranges[0].partition
        if not self._state.quarantine.is_reading(source, partition):
            return True
        arrivals = documents_of(self._state, entry, self._refetch)
        kept, _ = self._leaving.part(arrivals)
        if kept:
            report = self._step(kept, released=source)
            if report is None:
                return False
            self._learned(report, kept, source)
        return self._rest(entry)

    def _rehearse(self, entry: Learned) -> bool:
        if len(self._state.rehearsal):
            report = self._step([])
            if report is None:
                return False
            self._learned(report, [])
        return self._rest(entry)

    def _rest(self, entry: Learned) -> bool:
        """Where the old line came to rest, so does the new one, whatever it takes."""
        while entry.rests and len(self._state.rehearsal):
            report = self._step([])
            if report is None:
                return False
            self._learned(report, [])
        return True

    def _step(self, arrivals: Sequence[Arrival], released: str | None = None) -> StepReport | None:
        began = time.perf_counter()
        report = self._stepper.step(
            self._state, arrivals, released=released, is_stopping=self._is_stopping
        )
        self._took_ms = round(1000 * (time.perf_counter() - began))
        return report

    def _learned(
        self, report: StepReport, arrivals: Sequence[Arrival], source: str | None = None
    ) -> None:
        self._append(
            Learned(
                report.step,
                ranges_of(arrivals),
                raw_of(arrivals),
                source,
                rests=not len(self._state.rehearsal),
                took_ms=self._took_ms,
            )
        )

    def _do(self, entry: Entry) -> None:
        self._append(entry)
        redo(self._state, entry, self._stepper, self._refetch)

    def _append(self, entry: Entry) -> None:
        self._journal.append(entry)
