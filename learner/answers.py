"""Answers to commands on their way to the audit log; none is forgotten before Kafka has it.

Knows nothing of commands. Called by `control.py`.
"""

from collections.abc import Callable
from typing import Any

from learner.standing import Standing
from riverrun.records import VersionEvent

ANSWER_TO = "command:"
"""Head of an answer's key in the audit log: compaction keeps each."""

Say = Callable[[str, VersionEvent], Any]
"""Send an event under a key; gives a future of Kafka's, or None when it cannot be sent now."""


class Answers:
    """Those of `standing.answers`. save: puts the standing on disk."""

    def __init__(self, standing: Standing, say: Say, save: Callable[[], None]) -> None:
        self._standing = standing
        self._say = say
        self._save = save
        self._sent: list[tuple[VersionEvent, Any]] = []

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
            key = f"{ANSWER_TO}{event.command}" if event.command else event.version
            future = self._say(key, event)
            if future is None:
                return
            self._sent.append((event, future))
