"""Do the log again beside a running system, and compare each version's hash with the bits at hand.

Reads the data directory, the store and Kafka, and writes to none of them: a state of its own is
restored from a checkpoint at or before the first version (or is the untouched model, as long as
the journal reaches back to it), and the journal's steps are done once more.

Called by `riverrun verify`.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import torch

from learner import workers
from learner.assembly import Assembly
from learner.checkpoint import path_of, steps_in
from learner.checkpoint_file import Damaged, fit, read_checkpoint
from learner.entries import Learned, Started
from learner.identity import FILE, Identity, hash_of_files, hash_of_weights, read
from learner.identity import differences as unlike
from learner.intake import Intake
from learner.journal_file import entries_from, entries_in, file_of, starts_in
from learner.machine import Machine, differences, this_machine
from learner.origin import Origin
from learner.publish import hash_of_published
from learner.redo import redo
from learner.strategies.registry import needs_origin_memory
from riverrun.device import device_of
from riverrun.errors import CheckpointError, InvalidValue
from riverrun.kafka import bootstrap_servers, client_options
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore, store_of
from riverrun.tokenizer import Tokenizer

KAFKA_TIMEOUT_S = 30.0

log = logging.getLogger(__name__)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """versions: compared, oldest first. from_step: of the checkpoint; 0: the untouched model."""

    versions: list[str]
    from_step: int
    num_steps: int
    num_documents: int


def verify(
    settings: Settings,
    first: str | None,
    last: str | None,
    show: Callable[[int, int, str | None], None],
) -> Verified:
    """Compare the versions from `first` (the oldest that can be reached) to `last` (the promoted).

    show: called with the steps done, those to do, and a version that was found equal.
    Raises CheckpointError naming the first version that differs, or what is missing to do it;
    OffsetExpired when Kafka no longer holds the text; InvalidValue, UnknownVersion.
    """
    directory = settings.data_dir.expanduser() / "learner"
    if not (directory / FILE).exists():
        raise CheckpointError(f"no learner has run in {settings.data_dir}: there is no {FILE}")
    identity = read(directory / FILE)
    store = store_of(settings)
    promoted = last or store.promoted()
    if promoted is None:
        raise CheckpointError(f"there is no version in {store.url} to verify")
    line = line_to(store, promoted)
    if line[-1].run != identity.run:
        raise InvalidValue("--to", promoted, f"a version of run {identity.run}, which is there")
    reachable = _reachable(directory)
    if first is None:
        line = [m for m in line if m.step >= reachable]
    elif first not in {m.version for m in line}:
        raise InvalidValue("--from", first, f"a version that {promoted} descends from")
    else:
        line = line[[m.version for m in line].index(first) :]
    if not line or line[0].step < reachable:
        raise CheckpointError(
            f"the log no longer reaches back to {first or promoted}: what is kept begins after "
            f"step {reachable}. Name a later version, and keep more next time "
            f"(learner.checkpoint_ladder_s, learner.keep_checkpoints)."
        )
    return _Replay(settings, directory, identity).compare(line, show)


class _Replay:
    """A run's state, anew."""

    def __init__(self, settings: Settings, directory: Path, identity: Identity) -> None:
        self._settings = settings
        self._directory = directory
        self._identity = identity
        self._device = device_of(settings.device)
        self._changed: list[str] = []
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        model_files = locate(identity.model)
        model = files.load(model_files, torch.float32, self._device)
        here = msgspec.structs.replace(
            identity,
            weights=hash_of_weights(model),
            files=hash_of_files(model_files),
        )
        if changed := unlike(identity, here):
            raise CheckpointError(
                f"{identity.model} is not the model that the run began from: {'; '.join(changed)}"
            )
        self._assembly = Assembly(identity.recipe, identity.seed, model, Tokenizer(model_files))

    def compare(
        self, line: list[Manifest], show: Callable[[int, int, str | None], None]
    ) -> Verified:
        state = self._assembly.state
        machine = self._restore(line[0].step)
        from_step = state.progress.step
        # A line that took over may begin with a version of the same step as its parent's.
        by_step: dict[int, list[Manifest]] = {}
        for manifest in line:
            by_step.setdefault(manifest.step, []).append(manifest)
        equal = []
        documents = state.progress.num_documents
        for step in self._states(machine, line[-1].step):
            version = None
            for manifest in by_step.get(step, ()):
                self._assert_equal(manifest)
                equal.append(version := manifest.version)
            show(step - from_step, line[-1].step - from_step, version)
        return Verified(
            versions=equal,
            from_step=from_step,
            num_steps=line[-1].step - from_step,
            num_documents=state.progress.num_documents - documents,
        )

    def _restore(self, step: int) -> Machine | None:
        """The newest whole checkpoint at or before `step`, else the untouched model."""
        checkpoints = self._directory / "checkpoints"
        for found in reversed([s for s in steps_in(checkpoints) if s <= step]):
            path = path_of(checkpoints, found)
            try:
                head, snapshots = read_checkpoint(path)
            except Damaged as error:
                # Or it has just been pruned.
                log.warning("%s cannot be used: %s", path, error)
                continue
            fit(self._assembly.state, head, snapshots, self._identity, path)
            return head.machine
        return None

    def _states(self, machine: Machine | None, last: int) -> Iterator[int]:
        """The state's step, each time that it has become another one; up to `last`."""
        state = self._assembly.state
        origin = self._origin()
        stepper = self._assembly.stepper(origin)
        servers = bootstrap_servers(self._settings, KAFKA_TIMEOUT_S)
        options = client_options(self._settings.kafka, servers)
        intake = Intake(
            options, self._identity.topic, self._settings.kafka.max_record_bytes, state.left_out
        )
        begin = state.progress.step
        try:
            self._be(machine or _first_machine(self._directory))
            yield begin
            if begin == last:
                return
            for entry in entries_from(self._directory / "journal", begin):
                if isinstance(entry, Started):
                    self._be(entry.machine)
                redo(state, entry, stepper, intake.refetch)
                if isinstance(entry, Learned):
                    yield entry.step
                    if entry.step == last:
                        return
        except FileNotFoundError as error:
            raise CheckpointError(
                f"the learner has just let go of {error.filename}: name a later version"
            ) from error
        finally:
            intake.close()
        raise CheckpointError(f"the journal ends before step {last}: is it of another time?")

    def _be(self, machine: Machine | None) -> None:
        """As many threads as wrote the journal: the bits depend on it."""
        if machine is None:
            return
        workers.share_out(machine.num_threads)
        changed = differences(machine, this_machine(self._device))
        if changed:
            log.warning("bits may differ, since %s", "; ".join(changed))
        self._changed = changed

    def _assert_equal(self, manifest: Manifest) -> None:
        sha256 = hash_of_published(self._assembly.state, self._identity.recipe)
        if sha256 != manifest.sha256:
            why = f" ({'; '.join(self._changed)})" if self._changed else ""
            raise CheckpointError(
                f"{manifest.version} (step {manifest.step}) is the first version that differs: its "
                f"weights have SHA-256 {manifest.sha256[:16]}…, the log gives {sha256[:16]}…{why}"
            )

    def _origin(self) -> Origin:
        if not needs_origin_memory(self._identity.recipe):
            return Origin.empty()
        origin = Origin.load(self._directory)
        if origin is None:
            raise CheckpointError(f"{self._directory} has no origin memory: nothing can be redone")
        return origin


def line_to(store: VersionStore, version: str) -> list[Manifest]:
    """`version` and what it descends from, oldest first."""
    line = [store.manifest(version)]
    while line[-1].parent is not None:
        line.append(store.manifest(line[-1].parent))
    return line[::-1]


def _reachable(directory: Path) -> int:
    """The step of the oldest state that can be had."""
    starts = starts_in(directory / "journal")
    if not starts:
        raise CheckpointError(f"there is no journal in {directory}")
    steps = [0, *steps_in(directory / "checkpoints")]
    return min((step for step in steps if step >= starts[0]), default=starts[0])


def _first_machine(directory: Path) -> Machine | None:
    """Where a run that begins from the untouched model began."""
    journal = directory / "journal"
    for start in starts_in(journal):
        for entry in entries_in(file_of(journal, start)):
            if isinstance(entry, Started):
                return entry.machine
    return None
