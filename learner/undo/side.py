"""The directory where a new line of weights grows, and how its files take the old ones' places.

It begins with what both lines share: the checkpoints and the journal up to the base, the newest
checkpoint that saw nothing of what is left out. The old line's files stay as they are until the
new one is whole. Knows nothing of learning. Called by `new_line.py` and `take_over.py`.
"""

import logging
import os
import shutil
from pathlib import Path

import msgspec

from learner.checkpoint import Checkpoints, path_of, steps_in
from learner.checkpoint_file import fit, read_checkpoint
from learner.guard import Guard, unguarded
from learner.identity import FILE as IDENTITY_FILE
from learner.identity import Identity
from learner.journal import Journal
from learner.journal_file import file_of, starts_in
from learner.state import State
from learner.undo.intent import Intent, write_intent
from riverrun.errors import CheckpointError
from riverrun.workspace import fsync, replace_file

SIDE = "undo"
"""Where the new line grows."""
LINES = "lines"
"""Where the journals of lines that were replaced stay, for the record."""
PARTS = ("journal", "checkpoints")

log = logging.getLogger(__name__)


def base_of(directory: Path, first_step: int, state: State, identity: Identity) -> int:
    """Make the untouched `state` the newest one before `first_step`; gives its step."""
    starts = starts_in(directory / "journal")
    checkpoints = directory / "checkpoints"
    for step in reversed(steps_in(checkpoints)):
        if step >= first_step or step not in starts:
            continue
        path = path_of(checkpoints, step)
        try:
            head, snapshots = read_checkpoint(path)
        except CheckpointError as error:
            log.warning("%s cannot be used, one before it may do: %s", path, error)
            continue
        fit(state, head, snapshots, identity, path)
        return step
    if starts[:1] == [0]:
        return 0
    raise CheckpointError(f"no checkpoint from before step {first_step} can be used in {directory}")


def lay_out(directory: Path, base: int) -> Journal:
    """What the new line begins with; its journal, open at `base`. One begun before is removed."""
    side = directory / SIDE
    shutil.rmtree(side, ignore_errors=True)
    link_checkpoints(directory / "checkpoints", side / "checkpoints", base)
    return begin_journal(directory / "journal", side / "journal", base)


def link_checkpoints(old: Path, new: Path, base: int) -> None:
    """The old line's checkpoints up to `base` are the new line's too."""
    new.mkdir(parents=True)
    for step in steps_in(old):
        if step > base:
            continue
        path_of(new, step).mkdir()
        for file in path_of(old, step).iterdir():
            try:
                os.link(file, path_of(new, step) / file.name)
            except OSError:
                # A file system without links.
                shutil.copyfile(file, path_of(new, step) / file.name)


def begin_journal(old: Path, new: Path, base: int) -> Journal:
    """The old line's journal up to `base`, and an empty file for what follows."""
    new.mkdir(parents=True)
    for start in starts_in(old):
        if start < base:
            shutil.copyfile(file_of(old, start), file_of(new, start))
            fsync(file_of(new, start))
    file_of(new, base).touch()
    return Journal(new)


def complete(directory: Path, state: State, identity: Identity, base: int) -> None:
    """What the new line ends with: a checkpoint, if it learned anything, and its identity."""
    side = directory / SIDE
    checkpoints = Checkpoints(side / "checkpoints", len(steps_in(side / "checkpoints")) + 1)
    try:
        if state.progress.step > base:
            checkpoints.write(state, identity)
    finally:
        checkpoints.close()
    replace_file(side / IDENTITY_FILE, msgspec.json.encode(identity))


def install(directory: Path, intent: Intent, guard: Guard = unguarded) -> None:
    """Let the new line's files take the old ones' places; the same again after any crash."""
    side, aside = directory / SIDE, directory / LINES / intent.replaces
    aside.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        if not (side / name).exists():
            continue
        with guard():
            if (directory / name).exists():
                (directory / name).rename(aside / name)
            (side / name).rename(directory / name)
    for path in (aside, side, directory):
        fsync(path)
    identity = side / IDENTITY_FILE
    if identity.exists():
        told = msgspec.json.format(identity.read_bytes())
        before = (directory / IDENTITY_FILE).read_bytes()
        if not (aside / IDENTITY_FILE).exists():
            replace_file(aside / IDENTITY_FILE, before)
        replace_file(directory / IDENTITY_FILE, told, guard=guard)
    write_intent(directory, msgspec.structs.replace(intent, phase="installed"), guard)
    shutil.rmtree(side, ignore_errors=True)
    shutil.rmtree(aside / "checkpoints", ignore_errors=True)
