"""An operator's undo: begun by this line of weights, answered by the one that comes of it.

The intent on disk is the whole memory of it. Knows nothing of how the new line is learned
(`learner/undo/`). Called by `control.py`.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from learner.control.answers import Answers, why
from learner.guard import Guard
from learner.identity import Identity
from learner.undo.intent import Intent, forget_intent, read_intent, write_intent
from learner.undo.plan import Plan, describe
from riverrun.commands import Command
from riverrun.store import VersionStore

log = logging.getLogger(__name__)


class Undoing:
    """See the module. save: puts the standing, with the answers, on disk."""

    def __init__(
        self,
        directory: Path,
        store: VersionStore,
        identity: Identity,
        answers: Answers,
        save: Callable[[], None],
        guard: Guard,
    ) -> None:
        """directory: the learner's."""
        self._directory = directory
        self._store = store
        self._identity = identity
        self._answers = answers
        self._save = save
        self._guard = guard
        self._intent = read_intent(directory)

    @property
    def command(self) -> str | None:
        """The id of the command that this line comes from, until it is answered."""
        return None if self._intent is None else self._intent.command

    @property
    def reason(self) -> str | None:
        """Why the line's first version is published, when an undoing made it."""
        if self._intent is None:
            return None
        return f"{self._intent.kind}: {self._intent.subject or self._intent.reason}"

    def begin(self, command: Command, plan: Plan) -> str:
        """Write the intent and let serving go back; what is undone, in words."""
        subject = "; ".join(map(describe, plan.left_out))
        intent = Intent(
            left_out=plan.left_out,
            first_step=plan.first_step,
            reason=why(command),
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
            self._answers.add("rolled_back", told, subject=subject)
        return subject

    def tell(self, version: str | None) -> None:
        """The answer, as soon as the new line's first version is there. version: the newest."""
        intent = self._intent
        if intent is None or version is None or not self._identity.made(version):
            return
        self._answers.add(
            intent.kind,
            intent.reason,
            version=version,
            command=intent.command,
            subject=intent.subject,
            replaces=intent.replaces,
        )
        self._save()
        forget_intent(self._directory, self._guard)
        self._intent = None
