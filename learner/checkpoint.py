"""One commit of everything: every part of the state, at one step.

    checkpoints/STEP/checkpoint.json        its parts' files and their SHA-256, and its own
    checkpoints/STEP/PART-STEP.safetensors  a whole snapshot of a part, or changes to those before

It is written beside its final name, fsynced and renamed, so one under its final name is whole; the
hashes find what a disk did to it later. Each directory holds all that it needs: files of the
checkpoint before the last that still count are hard links, those of the last are copied. So the
newest two share nothing on the disk, and damage to one leaves the one before.
The learner's thread only copies into memory (`copies.py`); another one writes. When a write has
failed, the next one is whole.

Embeddings that do not learn are not written: they are in the model's own files, whose hash is part
of the run's identity. Knows nothing of the journal. Called by `loop.py` and `resume.py`.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec

from learner.checkpoint_file import HEAD, Damaged, Head, fit, read_checkpoint, write_head
from learner.copies import Copies
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.machine import this_machine
from learner.part import Snapshot
from learner.snapshots import Piece, write_snapshot
from learner.state import State
from riverrun.errors import CheckpointError
from riverrun.ladder import rungs
from riverrun.store.whole_files import sha256_of
from riverrun.workspace import fsync

PARTIAL, DAMAGED = ".partial-", "damaged-"
MOST_CHANGES = 16
"""Changes that follow a whole snapshot at most: a restart reads them all."""

log = logging.getLogger(__name__)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that is there.

    num_bytes: written anew, without what changes rest on.
    oldest: the oldest step kept. num_pruned: older ones that went.
    """

    step: int
    took_s: float
    num_bytes: int
    oldest: int
    num_pruned: int


class Checkpoints:
    """The checkpoints of one data directory. All methods are the learner's thread's.

    keep: the newest ones. ladder_s: periods of which older ones are kept (`riverrun/ladder.py`).
    guard: entered around each change that others can see (`lease.py`).
    """

    def __init__(
        self,
        directory: Path,
        keep: int,
        ladder_s: Sequence[float] = (),
        guard: Guard = unguarded,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._keep = keep
        self._ladder_s = ladder_s
        self._guard = guard
        self._copies = Copies()
        self._chains: dict[str, list[Piece]] = {}
        self._chains_step: int | None = None
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[Written] | None = None
        self._reserving: Future[None] | None = None
        for partial in directory.glob(f"{PARTIAL}*"):
            shutil.rmtree(partial, ignore_errors=True)

    def steps(self) -> list[int]:
        """Of all checkpoints under their final names, oldest first."""
        return steps_in(self.directory)

    # Writing

    def reserve(self, state: State) -> None:
        """Let the memory for the copies be made ready, beside learning.

        Before the first `begin`, and best after an update: moments are there from then on.
        """
        sizes = {
            f"{name}.{key}": tensor.numel() * tensor.element_size()
            for name, part in state.parts.items()
            for key, tensor in part.snapshot(whole=True).tensors.items()
        }
        self._chains.clear()
        is_cuda = state.model.output_matrix.is_cuda
        self._reserving = self._writer.submit(self._copies.reserve, sizes, is_cuda)

    @property
    def copies_bytes(self) -> int:
        """Memory that is kept for copies."""
        return self._copies.num_bytes

    @property
    def is_writing(self) -> bool:
        """Whether one is under way that `finished` has not told of."""
        is_reserving = self._reserving is not None and not self._reserving.done()
        return self._writing is not None or is_reserving

    def begin(self, state: State, identity: Identity) -> bool:
        """Copy the state and let it be written. False when that step has one already.

        Raises CheckpointError when the memory for the copy is not to be had.
        """
        assert self._writing is None, "one at a time"
        step = state.progress.step
        if self._path(step).exists():
            return False
        if self._reserving is not None:
            # Whatever came of it: what is missing is made now.
            wait([self._reserving])
            self._reserving = None
        try:
            copies = {
                name: self._copies.take(name, part.snapshot(whole=self._needs_whole(name)))
                for name, part in state.parts.items()
            }
        except (MemoryError, RuntimeError) as error:
            self._chains.clear()
            raise CheckpointError(f"no memory for a checkpoint's copy: {error}") from error
        head = Head(
            identity=identity,
            recipe_hash=identity.recipe.hash(),
            machine=this_machine(state.model.output_matrix.device),
            step=step,
            created_ms=int(time.time() * 1000),
            parts={},
        )
        self._writing = self._writer.submit(self._write, head, copies)
        return True

    def finished(self, *, wait: bool = False) -> Written | None:
        """What was written since the last call, if it is there; once for each.

        Raises CheckpointError, with the older ones as they were, when the disk was full; LeaseLost.
        """
        if self._writing is None or not (wait or self._writing.done()):
            return None
        writing, self._writing = self._writing, None
        try:
            return writing.result()
        except BaseException:
            # What a part gave as its changes is lost.
            self._chains.clear()
            raise

    def write(self, state: State, identity: Identity) -> Written | None:
        """`begin`, and wait for the end."""
        self.finished(wait=True)
        return self.finished(wait=True) if self.begin(state, identity) else None

    def close(self) -> None:
        self._writer.shutdown()

    def _needs_whole(self, name: str) -> bool:
        chain = self._chains.get(name)
        if chain is None:
            return True
        changes = sum(piece.num_bytes for piece in chain[1:])
        return len(chain) > MOST_CHANGES or changes > chain[0].num_bytes

    # The writer's thread

    def _write(self, head: Head, snapshots: dict[str, Snapshot]) -> Written:
        began = time.perf_counter()
        final = self._path(head.step)
        num_bytes = 0
        scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self.directory))
        try:
            for name, snapshot in snapshots.items():
                chain = [] if snapshot.is_whole else self._rested_on(name, scratch)
                piece = write_snapshot(scratch / f"{name}-{head.step:010d}.safetensors", snapshot)
                head.parts[name] = [*chain, piece]
                num_bytes += piece.num_bytes
            write_head(scratch / HEAD, head)
            fsync(scratch)
            with self._guard():
                scratch.rename(final)
            fsync(self.directory)
        except OSError as error:
            raise CheckpointError(
                f"a checkpoint could not be written to {self.directory}: {error}"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._chains, self._chains_step = dict(head.parts), head.step
        num_pruned = self._prune()
        return Written(
            step=head.step,
            took_s=time.perf_counter() - began,
            num_bytes=num_bytes,
            oldest=self.steps()[0],
            num_pruned=num_pruned,
        )

    def _rested_on(self, name: str, scratch: Path) -> list[Piece]:
        """The files that the changes of `name` rest on, in `scratch` too.

        Raises CheckpointError when one that is to be copied is not what was written.
        """
        assert self._chains_step is not None
        before = self._path(self._chains_step)
        linked = before if self._keep == 1 else self._twin()
        for piece in self._chains[name]:
            if linked is not None and (linked / piece.file).exists():
                link(linked / piece.file, scratch / piece.file)
            else:
                copy(before / piece.file, scratch / piece.file, piece.sha256)
        return self._chains[name]

    def _twin(self) -> Path | None:
        """The checkpoint before the last: what it has is on the disk twice."""
        steps = self.steps()
        return self._path(steps[-2]) if len(steps) > 1 else None

    def _prune(self) -> int:
        """Drop what neither the newest nor the ladder keep; gives how many went."""
        steps = self.steps()
        times = [(self._path(step) / HEAD).stat().st_mtime for step in steps]
        kept = rungs(times, time.time(), self._ladder_s)
        dropped = [s for i, s in enumerate(steps[: -self._keep]) if i not in kept]
        for step in dropped:
            # Half a removed one must not stand under a final name.
            gone = self.directory / f"{PARTIAL}gone-{step}"
            with self._guard():
                self._path(step).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        return len(dropped)

    # Reading

    def restore_newest(self, state: State, identity: Identity) -> Head | None:
        """Make `state` that of the newest checkpoint that is whole; None when there is none.

        Damaged ones are named in the log and set aside. Raises CheckpointError for one that is
        whole and does not fit: of another run, or of other parts than `state` has.
        """
        for step in reversed(self.steps()):
            path = self._path(step)
            try:
                head, snapshots = read_checkpoint(path)
            except Damaged as error:
                aside = path.with_name(f"{DAMAGED}{path.name}-{int(time.time())}")
                log.error("checkpoint %s cannot be used, set aside as %s: %s", step, aside, error)
                with self._guard():
                    path.rename(aside)
            else:
                fit(state, head, snapshots, identity, path)
                return head
        return None

    def _path(self, step: int) -> Path:
        return path_of(self.directory, step)


def link(there: Path, here: Path) -> None:
    try:
        os.link(there, here)
    except OSError:
        # A file system without links.
        shutil.copyfile(there, here)
        fsync(here)


def copy(there: Path, here: Path, sha256: str) -> None:
    """Raises CheckpointError for damage: it must not be had twice."""
    shutil.copyfile(there, here)
    fsync(here)
    if sha256_of(here) != sha256:
        raise CheckpointError(f"{there} is not what was written; the next checkpoint is whole")


def steps_in(directory: Path) -> list[int]:
    if not directory.exists():
        return []
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdigit())


def path_of(directory: Path, step: int) -> Path:
    return directory / f"{step:010d}"
