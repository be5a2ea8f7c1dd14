"""The operator's commands carried out, each once, and answered in the audit log.

    promote, roll_back   the store's pointer moves; after roll_back nothing is promoted
    hold, release        nothing is promoted until released
    pause, resume        nothing is learned until resumed; text waits in Kafka
    undo                 an intent is written, serving goes back, the learner begins anew
    quarantine_source, release_source   journaled, since they change what steps learn

`control.json` in the learner's directory (`standing.py`) says how far the commands were carried
out, and which answers Kafka does not have yet. What has an effect elsewhere is written there
before, with all choices made, so that a crash in between only repeats it.

Knows nothing of steps, nor of what a command does. Called by `loop.py` between two of them.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from learner.control.answers import Answers, Say, why
from learner.control.choices import Choices
from learner.control.commands import Commands
from learner.control.effects import Effects, Outcome
from learner.control.standing import read_standing, save_standing
from learner.control.undoing import Undoing
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.journal import Journal
from learner.restart import Restart
from learner.state import State
from learner.undo.plan import Plan
from riverrun.commands import Command
from riverrun.errors import RiverrunError
from riverrun.metrics import LearnerMetrics
from riverrun.records import LeftOut
from riverrun.store import VersionStore

MAX_REMEMBERED = 4096
"""Ids of commands that were carried out: one that is sent again is not carried out again."""
log = logging.getLogger(__name__)

MakePlan = Callable[[list[LeftOut]], Plan]


class Control:
    """See the module. One line of weights long; the next line makes another."""

    def __init__(
        self,
        directory: Path,
        commands: Commands,
        state: State,
        store: VersionStore,
        journal: Journal,
        identity: Identity,
        say: Say,
        plan: MakePlan,
        num_partitions: int,
        guard: Guard = unguarded,
        metrics: LearnerMetrics | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        """plan: of undoing these, as the log stands; raises when it cannot be. announce: what
        `riverrun status` shows."""
        self._directory = directory
        self._commands = commands
        self._state = state
        self._plan = plan
        self._guard = guard
        self._metrics = metrics
        self._announce = announce
        self.standing = read_standing(directory)
        self._answers = Answers(self.standing, store, say, self._save)
        self._choices = Choices(store, state.quarantine, num_partitions)
        self._effects = Effects(self.standing, state, store, journal)
        self._undoing = Undoing(directory, store, identity, self._answers, self._save, guard)
        self._show()

    @property
    def is_held(self) -> bool:
        """Whether no version may be promoted now."""
        return self.standing.is_held

    @property
    def is_paused(self) -> bool:
        """Whether nothing may be learned now."""
        return self.standing.is_paused

    @property
    def reason(self) -> str | None:
        """Why the line's first version is published, when an undoing made it."""
        return self._undoing.reason

    def tell_undone(self) -> None:
        """The answer to an undo, as soon as the new line's first version is there."""
        self._undoing.tell(self._state.progress.version)

    def act(self) -> None:
        """Carry out what has come since. Raises Restart."""
        self._answers.send()
        if self.standing.next_offset is None and self._commands.began_at is not None:
            # From now on a command that comes while no learner runs is not missed.
            self.standing.next_offset = self._commands.began_at
            self._save()
        doing = self.standing.doing
        if doing is not None:
            if self._undoing.command == doing.id:
                # Its intent was written before the crash, and is what this line comes from.
                self._remember(doing)
            else:
                self._do(doing)
        self.tell_undone()
        while (received := self._commands.next()) is not None:
            if received.offset < (self.standing.next_offset or 0):
                continue
            command = received.command
            self.standing.next_offset = received.offset + 1
            if command is None or self._was_done(command):
                self._save()
                continue
            log.info("%s %s by %s: %s", command.kind, command.id, command.by, command.reason)
            try:
                chosen = self._choices.make(command)
            except RiverrunError as error:
                self._done(command, Outcome("refused", str(error)))
            else:
                self.standing.doing = chosen
                self._save()
                self._do(chosen)

    def _was_done(self, command: Command) -> bool:
        return command.id in self.standing.acted or command.id == self._undoing.command

    def _do(self, command: Command) -> None:
        if command.kind == "undo":
            self._undo(command)
        else:
            self._done(command, self._effects.of(command))

    def _undo(self, command: Command) -> None:
        try:
            plan = self._plan(self._choices.wanted(command))
        except RiverrunError as error:
            self._done(command, Outcome("refused", str(error)))
            return
        subject = self._undoing.begin(command, plan)
        self._remember(command)
        raise Restart(subject)

    def _done(self, command: Command, outcome: Outcome) -> None:
        reasons = ("" if outcome.kind == "refused" else why(command), outcome.told)
        reason = "; ".join(part for part in reasons if part)
        self._answers.add(outcome.kind, reason, command=command.id, subject=outcome.subject)
        self._remember(command)
        if self._metrics is not None:
            self._metrics.commands.labels(command.kind, outcome.kind).inc()
        self._show()
        self._answers.send()

    def _show(self) -> None:
        if self._metrics is not None:
            self._metrics.held.set(self.is_held)
            self._metrics.paused.set(self.is_paused)
        doing = "paused" if self.is_paused else "learning"
        self._announce(f"{doing}, promotion held" if self.is_held else doing)

    def _remember(self, command: Command) -> None:
        """That it was carried out, on disk."""
        self.standing.doing = None
        self.standing.acted = [*self.standing.acted, command.id][-MAX_REMEMBERED:]
        self._save()

    def _save(self) -> None:
        save_standing(self._directory, self.standing, self._guard)
