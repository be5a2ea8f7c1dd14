"""What is to be undone, on disk before anything of it is done.

A file in the learner's directory. As long as it is there, a start of the learner goes on with it,
wherever a crash has come in between:

    replay     the new line is being learned, in a directory of its own; a crash begins it anew
    install    it is whole: its files take the place of the old line's, one rename after the other
    installed  the new line is the learner's; its first version is still to be published

Written by the control topic's `undo` and by the gate's roll back; read by `start.py`.
"""

from pathlib import Path
from typing import Literal

import msgspec

from learner.actions import Action
from learner.guard import Guard, unguarded
from learner.identity import new_run
from riverrun.errors import CheckpointError
from riverrun.records import LeftOut
from riverrun.workspace import replace_file

FILE = "undo.json"

Phase = Literal["replay", "install", "installed"]


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """left_out: what the new line never sees. first_step: the first step that saw some of it.

    replaces: the run of now. run: that of the line to come. kind: what the audit log calls it.
    subject: what was asked for, in words. command: id of the operator's command, if one asked.
    quarantine: sources that are in quarantine from the first step that differs on.
    actions: done on the new line before that step. best: what its versions are held against.
    """

    left_out: list[LeftOut]
    first_step: int
    reason: str
    replaces: str
    run: str = msgspec.field(default_factory=new_run)
    kind: Literal["undone", "rolled_back"] = "undone"
    subject: str = ""
    command: str | None = None
    quarantine: list[str] = []
    actions: list[Action] = []
    best: str | None = None
    phase: Phase = "replay"


def write_intent(directory: Path, intent: Intent, guard: Guard = unguarded) -> None:
    """directory: the learner's. Raise `Restart` afterwards, and it is carried out."""
    replace_file(directory / FILE, msgspec.json.encode(intent), guard=guard)


def read_intent(directory: Path) -> Intent | None:
    """Raises CheckpointError when the file is damaged."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Intent)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def forget_intent(directory: Path, guard: Guard = unguarded) -> None:
    """It is done, and the audit log's event is on its way."""
    with guard():
        (directory / FILE).unlink(missing_ok=True)
