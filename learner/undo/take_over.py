"""From an intent to a learner that may begin anew: the new line learned, and put in place.

Called by `start.py` before it opens anything of the old line. A crash at any moment is followed by
the same again.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from learner.assembly import Assembly
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.intake import Intake
from learner.left_out import StandingLeftOut
from learner.machine import Machine
from learner.origin import Origin
from learner.undo.intent import Intent, write_intent
from learner.undo.new_line import NewLine
from learner.undo.side import base_of, install
from riverrun.process import Running
from riverrun.settings import Settings

SHOW_S = 1.0
"""Between two words of how far it is."""

log = logging.getLogger(__name__)


def carry_out(
    directory: Path, intent: Intent, learn_again: Callable[[], bool], guard: Guard = unguarded
) -> bool:
    """From whatever phase a crash has left it in to the end; False when `learn_again` gave that.

    learn_again: lets the new line grow (`NewLine.grow`).
    """
    if intent.phase == "replay":
        if not learn_again():
            return False
        intent = msgspec.structs.replace(intent, phase="install")
        write_intent(directory, intent, guard)
    install(directory, intent, guard)
    return True


class TakeOver:
    """Of one intent. assembly: of the untouched model."""

    def __init__(
        self,
        directory: Path,
        intent: Intent,
        identity: Identity,
        assembly: Assembly,
        options: Mapping[str, Any],
        settings: Settings,
        guard: Guard,
    ) -> None:
        """options: of the Kafka client."""
        self._directory = directory
        self._intent = intent
        self._identity = identity
        self._assembly = assembly
        self._options = options
        self._max_record_bytes = settings.kafka.max_record_bytes
        self._guard = guard

    def carry_out(
        self,
        origin_of: Callable[[], Origin | None],
        machine: Machine,
        term: int,
        running: Running,
    ) -> bool:
        """False when stopped before its end. Raises OffsetExpired, CheckpointError."""
        intent = self._intent
        learn_again = partial(self._learn_again, origin_of, machine, term, running)
        if not carry_out(self._directory, intent, learn_again, self._guard):
            return False
        log.warning("run %s takes over from %s: %s", intent.run, intent.replaces, intent.subject)
        return True

    def _learn_again(
        self,
        origin_of: Callable[[], Origin | None],
        machine: Machine,
        term: int,
        running: Running,
    ) -> bool:
        state = self._assembly.state
        base = base_of(self._directory, self._intent.first_step, state, self._identity)
        origin = origin_of()
        if origin is None:
            return False
        log.info("undoing %s: from step %d on", self._intent.subject, base)
        seen = StandingLeftOut(state.left_out.ranges)
        shown_at = -float("inf")

        def show(step: int) -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at >= SHOW_S:
                shown_at = time.monotonic()
                running.announce("ready", detail=f"undoing: learned again up to step {step}")

        with contextlib.closing(
            Intake(self._options, self._identity.topic, self._max_record_bytes, seen)
        ) as intake:
            line = NewLine(
                self._directory,
                self._intent,
                self._identity,
                state,
                self._assembly.stepper(origin),
                intake.refetch,
                seen,
                running.stop.is_set,
            )
            return line.grow(machine, term, show)
