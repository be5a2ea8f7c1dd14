"""Snapshots into files and back, and the one hash of everything that a state is.

A snapshot is one safetensors file; its facts are in it as one more tensor of bytes. The file's
SHA-256 and size are kept elsewhere (`Piece`), and nothing is read that does not have them.

Knows nothing of what the parts mean or which checkpoint they are in. Called by `checkpoint.py`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from learner.part import Part, Snapshot
from learner.tensor_file import bytes_of, read_tensors, write_tensors

FACTS = "facts.json"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The file of one snapshot, as a checkpoint's head lists it."""

    file: str
    sha256: str
    num_bytes: int
    is_whole: bool


def write_snapshot(path: Path, snapshot: Snapshot) -> Piece:
    """Written and fsynced."""
    facts = torch.frombuffer(bytearray(snapshot.facts), dtype=torch.uint8)
    sha256 = write_tensors(path, {**snapshot.tensors, FACTS: facts})
    size = path.stat().st_size
    return Piece(file=path.name, sha256=sha256, num_bytes=size, is_whole=snapshot.is_whole)


def read_snapshot(directory: Path, piece: Piece) -> Snapshot:
    """Raises CheckpointError when the file is gone or not what was written."""
    tensors = read_tensors(directory / piece.file, piece.sha256)
    facts = bytes(bytes_of(tensors.pop(FACTS)))
    return Snapshot(tensors, facts, piece.is_whole)


def state_hash(parts: Mapping[str, Part]) -> str:
    """SHA-256 over all parts: equal exactly when two states are, so that no part can differ unseen.

    Takes a whole snapshot of each part; whoever writes changes only has to ask for a whole one
    after it.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        for told in _told(name, parts[name].snapshot(whole=True)):
            digest.update(len(told).to_bytes(8, "little"))
            digest.update(told)
    return digest.hexdigest()


def hashes(parts: Mapping[str, Part]) -> dict[str, str]:
    """`state_hash` of each part by itself: which one differs."""
    return {name: state_hash({name: part}) for name, part in sorted(parts.items())}


def _told(name: str, snapshot: Snapshot) -> list[bytes | memoryview]:
    told: list[bytes | memoryview] = [name.encode(), snapshot.facts]
    for key, tensor in sorted(snapshot.tensors.items()):
        told += [f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode(), _data(tensor)]
    return told


def _data(tensor: Tensor) -> memoryview:
    return bytes_of(tensor.detach().cpu())
