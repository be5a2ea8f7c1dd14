"""What a command does: to the store's pointer, to what holds until further notice, to the journal.

Each is harmless to do twice, for a crash may come before it is noted as done. A command has all its
choices made (`choices.py`). Knows nothing of queues, ids or answers. Called by `control.py`.
"""

from typing import NamedTuple

from learner.control.answers import why
from learner.control.standing import Standing
from learner.entries import Quarantined, Released
from learner.journal import Journal
from learner.publish import HELD
from learner.state import State
from riverrun.commands import Command
from riverrun.records import VersionEventKind
from riverrun.store import VersionStore


class Outcome(NamedTuple):
    """What is told of it. subject: a source."""

    kind: VersionEventKind
    told: str = ""
    subject: str | None = None


class Effects:
    """Of all commands but `undo`, which ends this line of weights (`undoing.py`)."""

    def __init__(
        self, standing: Standing, state: State, store: VersionStore, journal: Journal
    ) -> None:
        self._standing = standing
        self._state = state
        self._store = store
        self._journal = journal

    def of(self, command: Command) -> Outcome:
        """Carry it out. Raises StoreError, LeaseLost."""
        standing = self._standing
        match command.kind:
            case "promote":
                assert command.version is not None
                self._store.promote(command.version)
                return Outcome("promoted")
            case "roll_back":
                assert command.version is not None
                self._store.promote(command.version)
                standing.is_held = True
                return Outcome("rolled_back", "nothing is promoted until `release`")
            case "hold":
                standing.is_held = True
                return Outcome("held", "nothing is promoted until `release`")
            case "release":
                standing.is_held = False
                self._promote_newest()
                return Outcome("promoted", "versions are promoted again")
            case "pause":
                standing.is_paused = True
                return Outcome("paused", "nothing is learned until `resume`")
            case "resume":
                standing.is_paused = False
                return Outcome("resumed")
            case "quarantine_source":
                assert command.source is not None
                return self._quarantine(command.source, command)
            case "release_source":
                assert command.source is not None
                return self._release(command.source, command)
            case "undo":
                raise AssertionError("it begins another line")

    def _promote_newest(self) -> None:
        """What would be served, had nothing been held."""
        newest = self._state.progress.version
        if newest is None or not self._store.has_weights(newest):
            return
        manifest = self._store.manifest(newest)
        if manifest.decision == "promote" or manifest.reason.startswith(HELD):
            self._store.promote(newest)

    def _quarantine(self, source: str, command: Command) -> Outcome:
        if source not in self._state.quarantine:
            self._journal.append(Quarantined(source, why(command), command.id))
            self._journal.sync()
            self._state.quarantine.add(source, why(command), self._state.progress.step)
        return Outcome("quarantined", subject=source)

    def _release(self, source: str, command: Command) -> Outcome:
        kept = self._state.quarantine.sources().get(source)
        num_documents = kept.num_documents if kept else 0
        if source in self._state.quarantine:
            self._journal.append(Released(source, command.id))
            self._journal.sync()
            self._state.quarantine.release(source)
        told = f"{num_documents} documents that were kept are learned from now on"
        return Outcome("source_released", told, source)
