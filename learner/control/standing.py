"""How far the operator's commands were carried out: `control.json` in the learner's directory.

It is no part of a checkpoint: going back in the log must not undo what was commanded, nor do it
again. Read and written by `control.py`; by `undo/take_over.py` where there is no control yet.
"""

import time
from pathlib import Path

import msgspec

from learner.guard import Guard
from learner.undo.intent import Intent, forget_intent
from riverrun.commands import Command
from riverrun.errors import CheckpointError
from riverrun.records import VersionEvent
from riverrun.workspace import replace_file

FILE = "control.json"


class Standing(msgspec.Struct, kw_only=True):
    """See the module. next_offset: of the control topic; None before the first start.

    doing: the command that is being carried out, with all choices made. answers: not yet known to
    be in Kafka, oldest first.
    """

    next_offset: int | None = None
    acted: list[str] = []
    is_held: bool = False
    is_paused: bool = False
    doing: Command | None = None
    answers: list[VersionEvent] = []


def read_standing(directory: Path) -> Standing:
    """Raises CheckpointError when the file is damaged."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Standing)
    except FileNotFoundError:
        return Standing()
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def save_standing(directory: Path, standing: Standing, guard: Guard) -> None:
    replace_file(directory / FILE, msgspec.json.encode(standing), guard=guard)


def give_up(directory: Path, intent: Intent, version: str | None, why: str, guard: Guard) -> None:
    """What was to be undone cannot be: say so, and let nothing be promoted that has seen it."""
    standing = read_standing(directory)
    standing.is_held = True
    standing.answers.append(
        VersionEvent(
            kind="refused",
            version=version or "",
            parent=None,
            step=0,
            reason=f"{intent.subject} cannot be undone, and nothing is promoted until `release`: "
            f"{why}",
            at_ms=int(time.time() * 1000),
            offsets={},
            metrics={},
            command=intent.command,
            subject=intent.subject,
        )
    )
    save_standing(directory, standing, guard)
    forget_intent(directory, guard)
