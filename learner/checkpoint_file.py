"""A checkpoint's head, and a whole checkpoint back into a state.

Nothing of it is believed before its hash was compared, and a state is not touched before all of it
was read and is known to fit. Damage and misfit differ: the one is a disk's doing, and the
checkpoint before may do; the other is ours, and would be the same in each of them.

Called by `checkpoint.py`, and by `verify.py`, which only reads.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from learner.identity import Identity, differences
from learner.machine import Machine
from learner.part import Snapshot
from learner.snapshots import Piece, read_snapshot
from learner.state import State
from riverrun.errors import CheckpointError
from riverrun.workspace import replace_file

HEAD = "checkpoint.json"


class Damaged(CheckpointError):
    """Not the bytes that were written."""


class Head(msgspec.Struct, kw_only=True):
    """parts: by name, a whole snapshot and the changes that followed it."""

    identity: Identity
    recipe_hash: str
    machine: Machine
    step: int
    created_ms: int
    parts: dict[str, list[Piece]]


class Sealed(msgspec.Struct):
    """The head as bytes, and their hash."""

    sha256: str
    head: msgspec.Raw


def write_head(path: Path, head: Head) -> None:
    told = msgspec.json.encode(head)
    sealed = Sealed(hashlib.sha256(told).hexdigest(), msgspec.Raw(told))
    replace_file(path, msgspec.json.encode(sealed))


def read_head(path: Path) -> Head:
    """Raises Damaged; CheckpointError for a whole one of another form."""
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=Sealed)
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from error
    if hashlib.sha256(bytes(sealed.head)).hexdigest() != sealed.sha256:
        raise Damaged(f"{path} does not have the SHA-256 that it names")
    try:
        return msgspec.json.decode(sealed.head, type=Head)
    except msgspec.DecodeError as error:
        raise CheckpointError(
            f"{path} was written by another release of riverrun ({error}): go on with that one, or "
            f"name another --data-dir to begin anew"
        ) from error


def read_checkpoint(path: Path) -> tuple[Head, dict[str, list[Snapshot]]]:
    """All of it, each file compared with its hash. Raises as `read_head` does."""
    head = read_head(path / HEAD)
    try:
        snapshots = {
            name: [read_snapshot(path, piece) for piece in pieces]
            for name, pieces in head.parts.items()
        }
    except CheckpointError as error:
        raise Damaged(str(error)) from error
    return head, snapshots


def fit(
    state: State,
    head: Head,
    snapshots: Mapping[str, Sequence[Snapshot]],
    identity: Identity,
    path: Path,
) -> None:
    """Make `state` what the checkpoint says. Raises CheckpointError, naming what does not fit."""
    if head.identity.run not in (identity.run, *identity.ancestors):
        raise CheckpointError(f"{path} is of run {head.identity.run}, not of {identity.run}")
    if not identity.shares(head.identity):
        raise CheckpointError(
            f"{path} was written under other settings: "
            f"{'; '.join(differences(head.identity, identity))}"
        )
    missing = sorted(state.parts.keys() - snapshots.keys())
    unknown = sorted(snapshots.keys() - state.parts.keys())
    if missing or unknown:
        told = [f"has no part {name!r}" for name in missing]
        told += [f"has a part {name!r} that this learner does not know" for name in unknown]
        raise CheckpointError(
            f"{path} {' and '.join(told)}. It was written by another release of riverrun or under "
            f"other settings: go back to those, or name another --data-dir to begin anew."
        )
    for name, part in state.parts.items():
        try:
            part.restore(snapshots[name])
        except CheckpointError as error:
            raise CheckpointError(f"{path}, part {name!r}: {error}") from error
