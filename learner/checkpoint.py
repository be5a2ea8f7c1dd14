"""One commit of everything: weights, moments, average, memory, due documents, offsets.

A checkpoint is a directory `checkpoints/STEP`: two safetensors files and `checkpoint.json`, which
holds their SHA-256 and all that is no tensor. It is written beside its final name, fsynced and
renamed, so one under its final name is whole; the hashes find what a disk did to it later. A
damaged one is set aside, and the one before is used: the journal reaches back that far.

Embeddings that do not learn are not written: they are in the model's own files, whose hash is part
of the run's identity. Called by `loop.py` and `resume.py`.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from learner.identity import Identity
from learner.rehearsal import Due
from learner.state import Progress, State
from learner.tensor_file import read_tensors, write_tensors
from riverrun.errors import CheckpointError
from riverrun.workspace import replace_file

WEIGHTS, MEMORY, HEAD = "weights.safetensors", "memory.safetensors", "checkpoint.json"
PARTIAL, DAMAGED = ".partial-", "damaged-"

log = logging.getLogger(__name__)


class Head(msgspec.Struct, kw_only=True):
    """All of a checkpoint that is no tensor."""

    identity: Identity
    recipe_hash: str
    progress: Progress
    due: list[Due]
    next_due_number: int
    memory_seen: int
    memory_sources: dict[str, int]
    sha256: dict[str, str]


class Checkpoints:
    """The checkpoints of one data directory."""

    def __init__(self, directory: Path, keep: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._keep = keep
        for partial in directory.glob(f"{PARTIAL}*"):
            shutil.rmtree(partial, ignore_errors=True)

    def steps(self) -> list[int]:
        """Of all checkpoints under their final names, oldest first."""
        return sorted(int(p.name) for p in self.directory.iterdir() if p.name.isdigit())

    def write(self, state: State, identity: Identity) -> None:
        """Commit the state; older checkpoints beyond those to keep go afterwards.

        Raises CheckpointError, with the older ones as they were, when the disk is full.
        """
        final = self._path(state.progress.step)
        if final.exists():
            return
        scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self.directory))
        try:
            head = Head(
                identity=identity,
                recipe_hash=identity.recipe.hash(),
                progress=state.progress,
                due=state.rehearsal.documents(),
                next_due_number=state.rehearsal.next_number,
                memory_seen=state.memory.num_seen,
                memory_sources=state.memory.sources,
                sha256={
                    WEIGHTS: write_tensors(scratch / WEIGHTS, dict(_weights(state))),
                    MEMORY: write_tensors(scratch / MEMORY, _memory(state)),
                },
            )
            replace_file(scratch / HEAD, msgspec.json.encode(head))
            scratch.rename(final)
            _sync_directory(self.directory)
        except OSError as error:
            raise CheckpointError(
                f"a checkpoint could not be written to {self.directory}: {error}"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for step in self.steps()[: -self._keep]:
            shutil.rmtree(self._path(step))

    def restore_newest(self, state: State, identity: Identity) -> bool:
        """Make `state` that of the newest checkpoint that is whole; False when there is none.

        Damaged ones are named in the log and set aside.
        """
        for step in reversed(self.steps()):
            path = self._path(step)
            try:
                _restore(state, path, identity)
            except CheckpointError as error:
                aside = path.with_name(f"{DAMAGED}{path.name}-{int(time.time())}")
                log.error("checkpoint %s cannot be used, set aside as %s: %s", step, aside, error)
                path.rename(aside)
            else:
                return True
        return False

    def _path(self, step: int) -> Path:
        return self.directory / f"{step:010d}"


def _weights(state: State) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in state.optimizer.parameters.items():
        yield f"weights.{name}", parameter.detach()
    for name, tensor in state.optimizer.tensors().items():
        yield f"moments.{name}", tensor
    if not state.average.is_live:
        for name, tensor in state.average.weights().items():
            yield f"average.{name}", tensor


def _memory(state: State) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in state.memory.arrays().items()}


@torch.no_grad()
def _restore(state: State, path: Path, identity: Identity) -> None:
    try:
        head = msgspec.json.decode((path / HEAD).read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError) as error:
        raise CheckpointError(f"{path / HEAD} cannot be read: {error}") from error
    if head.identity != identity:
        raise CheckpointError(f"{path} is of run {head.identity.run}, not of {identity.run}")
    tensors = read_tensors(path / WEIGHTS, head.sha256[WEIGHTS])
    memory = read_tensors(path / MEMORY, head.sha256[MEMORY])
    # From here on nothing can fail: a state is restored whole or not touched.
    parameters = state.optimizer.parameters
    for name, parameter in parameters.items():
        parameter.copy_(tensors[f"weights.{name}"])
    state.optimizer.restore(_below("moments.", tensors), head.progress.num_updates)
    if not state.average.is_live:
        averaged = _below("average.", tensors)
        for name, tensor in state.average.weights().items():
            tensor.copy_(averaged[name])
    arrays = {name: tensor.numpy() for name, tensor in memory.items()}
    state.memory.restore(arrays, head.memory_seen, head.memory_sources)
    state.rehearsal.restore(head.due, head.next_due_number)
    state.progress = head.progress


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
