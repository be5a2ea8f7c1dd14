"""Answers to commands on their way to the audit log; none is forgotten before Kafka has it.

Knows nothing of what commands do. Called by `control.py`.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from learner.control.standing import Standing
from riverrun.commands import Command
from riverrun.records import VersionEvent, VersionEventKind
from riverrun.store import VersionStore

Say = Callable[[VersionEvent], Any]
"""Send an event; gives a future of Kafka's, or None when it cannot be sent now."""

log = logging.getLogger(__name__)


def why(command: Command) -> str:
    """Who asked, and why."""
    return ": ".join(part for part in (command.by, command.reason) if part)


class Answers:
    """Those of `standing.answers`. save: puts the standing on disk."""

    def __init__(
        self, standing: Standing, store: VersionStore, say: Say, save: Callable[[], None]
    ) -> None:
        self._standing = standing
        self._store = store
        self._say = say
        self._save = save
        self._sent: list[tuple[VersionEvent, Any]] = []

    def add(
        self,
        kind: VersionEventKind,
        reason: str,
        *,
        version: str | None = None,
        command: str | None = None,
        subject: str | None = None,
        replaces: str | None = None,
    ) -> None:
        """One that waits from now on; on disk when the standing is saved next.

        version: the promoted one by default. command: the id of the one that is answered.
        """
        version = version or self._store.promoted()
        manifest = None if version is None else self._store.manifest(version)
        self._standing.answers.append(
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

    def send(self) -> None:
        """Send what waits; forget what Kafka has."""
        if not self._standing.answers:
            return
        waiting: list[tuple[VersionEvent, Any]] = []
        for event, future in self._sent:
            if not future.is_done:
                waiting.append((event, future))
            elif not future.failed():
                self._standing.answers.remove(event)
                self._save()
        self._sent = waiting
        under_way = [event for event, _ in self._sent]
        for event in self._standing.answers:
            if event in under_way:
                continue
            future = self._say(event)
            if future is None:
                return
            self._sent.append((event, future))
