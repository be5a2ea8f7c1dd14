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

from learner.control.standing import give_up
from learner.guard import Guard, unguarded
from learner.intake import Intake
from learner.left_out import StandingLeftOut
from learner.line import Line
from learner.restart import Restart
from learner.undo.intent import Intent, write_intent
from learner.undo.new_line import NewLine
from learner.undo.side import base_of, install
from riverrun.errors import CheckpointError, OffsetExpired

SHOW_S = 1.0
"""Between two words of how far it is."""

log = logging.getLogger(__name__)


def take_over(line: Line, intent: Intent, options: Mapping[str, Any]) -> None:
    """Returns only when stopped before its end. line: untouched. options: of the Kafka client.

    Raises Restart when the new line is in place, and when the text cannot be taken out; the learner
    goes on with the old line then, and promotes nothing.
    """
    learn_again = partial(_learn_again, line, intent, options)
    try:
        is_done = carry_out(line.directory, intent, learn_again, line.guard)
    except (OffsetExpired, CheckpointError) as error:
        if intent.phase != "replay":
            raise
        give_up(line.directory, intent, line.store.promoted(), str(error), line.guard)
        raise Restart(f"{intent.subject} cannot be undone: {error}") from error
    if is_done:
        log.warning("run %s takes over from %s: %s", intent.run, intent.replaces, intent.subject)
        raise Restart(f"run {intent.run} takes over from {intent.replaces}")


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


def _learn_again(line: Line, intent: Intent, options: Mapping[str, Any]) -> bool:
    state, running = line.state, line.running
    base = base_of(line.directory, intent.first_step, state, line.identity)
    origin = line.origin_memory()
    if origin is None:
        return False
    log.info("undoing %s: from step %d on", intent.subject, base)
    seen = StandingLeftOut(state.left_out.ranges)
    shown_at = -float("inf")

    def show(step: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= SHOW_S:
            shown_at = time.monotonic()
            running.announce("ready", detail=f"undoing: learned again up to step {step}")

    max_record_bytes = line.settings.kafka.max_record_bytes
    with contextlib.closing(Intake(options, line.identity.topic, max_record_bytes, seen)) as intake:
        new = NewLine(
            line.directory,
            intent,
            line.identity,
            state,
            line.assembly.stepper(origin),
            intake.refetch,
            seen,
            running.stop.is_set,
        )
        return new.grow(line.machine(), line.term, show)
