"""The operator's commands carried out, each once, and answered in the audit log.

    promote, roll_back   the store's pointer moves; after roll_back nothing is promoted
    hold, release        nothing is promoted until released
    pause, resume        nothing is learned until resumed; text waits in Kafka
    undo                 an intent is written, serving goes back, the learner begins anew
    quarantine_source, release_source   journaled, since they change what steps learn

`control.json` in the learner's directory says how far the commands were carried out, and which
answers Kafka does not have yet. It is no part of a checkpoint: going back in the log must not undo
what was commanded, nor do it again. What has an effect elsewhere is written there before, with all
choices made, so that a crash in between only repeats it.

Knows nothing of steps. Called by `loop.py` between two of them.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from learner.answers import Answers, Say
from learner.commands import Commands
from learner.entries import Quarantined, Released
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.journal import Journal
from learner.publish import HELD
from learner.restart import Restart
from learner.standing import read_standing, save_standing
from learner.state import State
from learner.undo.intent import Intent, forget_intent, read_intent, write_intent
from learner.undo.plan import Plan, describe, wanted_of
from riverrun.commands import Command
from riverrun.errors import InvalidValue, RiverrunError, UnknownVersion
from riverrun.metrics import LearnerMetrics
from riverrun.records import LeftOut, VersionEvent, VersionEventKind
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
        self._store = store
        self._journal = journal
        self._identity = identity
        self._plan = plan
        self._partitions = list(range(num_partitions))
        self._guard = guard
        self._metrics = metrics
        self._announce = announce
        self.standing = read_standing(directory)
        self._answers = Answers(self.standing, say, self._save)
        self._intent = read_intent(directory)
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
        if self._intent is None:
            return None
        return f"{self._intent.kind}: {self._intent.subject or self._intent.reason}"

    def act(self) -> None:
        """Carry out what has come since. Raises Restart."""
        self._answers.send()
        if self.standing.next_offset is None and self._commands.began_at is not None:
            # From now on a command that comes while no learner runs is not missed.
            self.standing.next_offset = self._commands.began_at
            self._save()
        doing = self.standing.doing
        if doing is not None:
            if self._intent is not None and self._intent.command == doing.id:
                # Its intent was written before the crash, and is what this line comes from.
                self._remember(doing)
                self._save()
            else:
                self._do(doing)
        self.tell_undone()
        while (received := self._commands.next()) is not None:
            if received.offset < (self.standing.next_offset or 0):
                continue
            command = received.command
            self.standing.next_offset = received.offset + 1
            if command is None or command.id in self._acted():
                self._save()
                continue
            log.info("%s %s by %s: %s", command.kind, command.id, command.by, command.reason)
            try:
                resolved = self._resolved(command)
            except RiverrunError as error:
                self._done(command, "refused", str(error))
            else:
                self.standing.doing = resolved
                self._save()
                self._do(resolved)

    def _acted(self) -> set[str]:
        acted = set(self.standing.acted)
        if self._intent is not None and self._intent.command is not None:
            acted.add(self._intent.command)
        return acted

    # What a command comes to

    def _resolved(self, command: Command) -> Command:
        """The command with all choices made. Raises RiverrunError for one that is refused."""
        match command.kind:
            case "promote":
                if not command.version:
                    raise InvalidValue("version", command.version, "the id of a version")
                self._require_weights(command.version)
            case "roll_back":
                version = command.version or self._before_the_served()
                self._require_weights(version)
                return msgspec.structs.replace(command, version=version)
            case "release_source" | "quarantine_source":
                if not command.source:
                    raise InvalidValue("source", command.source, "the name of a source")
                is_kept = command.source in self._state.quarantine
                if command.kind == "release_source" and not is_kept:
                    kept = sorted(s for s in self._state.quarantine.sources())
                    raise InvalidValue(
                        "source", command.source, f"a source in quarantine ({kept or 'none is'})"
                    )
            case "undo":
                self._wanted(command)
            case _:
                pass
        return command

    def _require_weights(self, version: str) -> None:
        self._store.manifest(version)
        if not self._store.has_weights(version):
            raise UnknownVersion(f"the weights of {version} are gone (store.keep_versions)")

    def _before_the_served(self) -> str:
        """The newest ancestor of the served version that has weights."""
        served = self._store.promoted()
        parent = None if served is None else self._store.manifest(served).parent
        while parent is not None:
            if self._store.has_weights(parent):
                return parent
            parent = self._store.manifest(parent).parent
        raise UnknownVersion(f"no version before {served} has weights still")

    def _wanted(self, command: Command) -> list[LeftOut]:
        return wanted_of(
            self._store,
            self._partitions,
            ranges=[
                LeftOut(partition=r.partition, first=r.first, last=r.last) for r in command.ranges
            ],
            source=command.source,
            version=command.version,
        )

    # What it does

    def _do(self, command: Command) -> None:
        standing, state = self.standing, self._state
        match command.kind:
            case "promote" | "roll_back":
                assert command.version is not None
                self._store.promote(command.version)
                if command.kind == "promote":
                    self._done(command, "promoted")
                else:
                    standing.is_held = True
                    self._done(command, "rolled_back", "nothing is promoted until `release`")
            case "hold":
                standing.is_held = True
                self._done(command, "held", "nothing is promoted until `release`")
            case "release":
                standing.is_held = False
                self._promote_newest()
                self._done(command, "promoted", "versions are promoted again")
            case "pause":
                standing.is_paused = True
                self._done(command, "paused", "nothing is learned until `resume`")
            case "resume":
                standing.is_paused = False
                self._done(command, "resumed")
            case "quarantine_source":
                assert command.source is not None
                if command.source not in state.quarantine:
                    self._journal.append(Quarantined(command.source, _why(command), command.id))
                    self._journal.sync()
                    state.quarantine.add(command.source, _why(command), state.progress.step)
                self._done(command, "quarantined", subject=command.source)
            case "release_source":
                assert command.source is not None
                kept = state.quarantine.sources().get(command.source)
                num_documents = kept.num_documents if kept else 0
                if command.source in state.quarantine:
                    self._journal.append(Released(command.source, command.id))
                    self._journal.sync()
                    state.quarantine.release(command.source)
                told = f"{num_documents} documents that were kept are learned from now on"
                self._done(command, "source_released", told, subject=command.source)
            case "undo":
                self._undo(command)

    def _promote_newest(self) -> None:
        """What would be served, had nothing been held."""
        newest = self._state.progress.version
        if newest is None or not self._store.has_weights(newest):
            return
        manifest = self._store.manifest(newest)
        if manifest.decision == "promote" or manifest.reason.startswith(HELD):
            self._store.promote(newest)

    def _undo(self, command: Command) -> None:
        try:
            plan = self._plan(self._wanted(command))
        except RiverrunError as error:
            self._done(command, "refused", str(error))
            return
        subject = "; ".join(map(describe, plan.left_out))
        intent = Intent(
            left_out=plan.left_out,
            first_step=plan.first_step,
            reason=_why(command),
            replaces=self._identity.run,
            subject=subject,
            command=command.id,
            quarantine=plan.quarantine,
        )
        log.warning(
            "undoing %s: from step %d on, %d steps", subject, plan.first_step, plan.num_steps
        )
        write_intent(self._directory, intent, self._guard)
        if plan.serve is not None and self._store.promoted() in plan.goes:
            self._store.promote(plan.serve)
            told = f"{plan.num_documents} documents are undone: {subject}"
            self._tell("rolled_back", told, subject=subject)
        self._remember(command)
        self._save()
        raise Restart(subject)

    def tell_undone(self) -> None:
        """The answer, as soon as the new line's first version is there."""
        intent, progress = self._intent, self._state.progress
        if intent is None or progress.version is None or not self._identity.made(progress.version):
            return
        self._tell(
            intent.kind,
            intent.reason,
            version=progress.version,
            command=intent.command,
            subject=intent.subject,
            replaces=intent.replaces,
        )
        self._save()
        forget_intent(self._directory, self._guard)
        self._intent = None

    # Answers

    def _done(
        self,
        command: Command,
        kind: VersionEventKind,
        told: str = "",
        *,
        subject: str | None = None,
    ) -> None:
        reason = "; ".join(part for part in (_why(command), told) if part)
        self._tell(kind, told if kind == "refused" else reason, command=command.id, subject=subject)
        self._remember(command)
        self._save()
        if self._metrics is not None:
            self._metrics.commands.labels(command.kind, kind).inc()
        self._show()
        self._answers.send()

    def _show(self) -> None:
        if self._metrics is not None:
            self._metrics.held.set(self.is_held)
            self._metrics.paused.set(self.is_paused)
        doing = "paused" if self.is_paused else "learning"
        self._announce(f"{doing}, promotion held" if self.is_held else doing)

    def _remember(self, command: Command) -> None:
        self.standing.doing = None
        self.standing.acted = [*self.standing.acted, command.id][-MAX_REMEMBERED:]

    def _tell(
        self,
        kind: VersionEventKind,
        reason: str,
        *,
        version: str | None = None,
        command: str | None = None,
        subject: str | None = None,
        replaces: str | None = None,
    ) -> None:
        version = version or self._store.promoted()
        manifest = None if version is None else self._store.manifest(version)
        self.standing.answers.append(
            VersionEvent(
                kind=kind,
                version=version or "",
                parent=manifest.parent if manifest else None,
                step=manifest.step if manifest else 0,
                reason=reason,
                at_ms=int(time.time() * 1000),
                offsets=manifest.offsets if manifest else {},
                metrics={},
                command=command,
                subject=subject,
                replaces=replaces,
            )
        )
        log.info("%s %s (%s)", kind, version, reason)

    def _save(self) -> None:
        save_standing(self._directory, self.standing, self._guard)


def _why(command: Command) -> str:
    """Who asked, and why."""
    return ": ".join(part for part in (command.by, command.reason) if part)
