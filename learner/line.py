"""A line of weights at its beginning: the untouched model, its run's identity, and what it is
computed, judged and kept with.

A learner has one line after the other: what is undone or rolled back makes the next. Knows nothing
of Kafka, nor of what was learned. Begun by `start.py`, read by what it starts.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from learner.assembly import Assembly
from learner.gate.setup import examiner_of
from learner.guard import Guard
from learner.identity import Identity, of_new_run, settle, spoken_files
from learner.lease import Leases
from learner.machine import Machine, this_machine
from learner.memory import Place
from learner.origin import Origin
from learner.origin_fill import fill
from learner.probes.examiner import Examiner
from learner.publish import deferral_of
from learner.recipe import Rhythm, kind_of, resolve, rhythm_of
from learner.state import State
from learner.strategies.registry import needs_origin_memory
from riverrun.device import device_of, has_bfloat16
from riverrun.errors import CheckpointError
from riverrun.kafka import Topics
from riverrun.metrics import LearnerMetrics
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.process import Running
from riverrun.settings import Settings
from riverrun.store import Deferral, VersionStore
from riverrun.tokenizer import Tokenizer

log = logging.getLogger(__name__)


@dataclass
class Line:
    """See the module. directory: the learner's."""

    settings: Settings
    running: Running
    store: VersionStore
    leases: Leases
    metrics: LearnerMetrics
    directory: Path
    topics: Topics
    device: torch.device
    rhythm: Rhythm
    assembly: Assembly
    identity: Identity
    deferral: Deferral | None
    examiner: Examiner

    @property
    def state(self) -> State:
        return self.assembly.state

    @property
    def guard(self) -> Guard:
        """Around each change of the learner's directory."""
        return self.leases.directory.guard

    @property
    def term(self) -> int:
        return self.leases.directory.term

    def machine(self) -> Machine:
        """The one that computes it now."""
        return this_machine(self.device)

    def origin_memory(self) -> Origin | None:
        """The run's, filled if this is its first start; None when stopped meanwhile.

        Raises CheckpointError when it is gone after the model has changed: it cannot be made again.
        """
        if not needs_origin_memory(self.identity.recipe):
            return Origin.empty()
        origin = Origin.load(self.directory)
        if origin is not None:
            return origin
        if self.state.progress.step > 0:
            raise CheckpointError(
                f"{self.directory} has a checkpoint but no origin memory; restore "
                f"{self.directory}, or name another --data-dir to begin anew"
            )
        self.running.announce("ready", detail="filling the origin memory")
        origin = fill(
            self.state.model,
            self.assembly.framing,
            self.identity.recipe,
            self.identity.seed,
            self.running.stop.is_set,
        )
        if origin is None:
            return None
        origin.save(self.directory)
        log.info("the origin memory holds %d texts", len(origin))
        return origin


def begin_line(
    settings: Settings,
    running: Running,
    store: VersionStore,
    leases: Leases,
    metrics: LearnerMetrics,
) -> Line:
    """The line that the settings and the learner's directory say; what serving needs besides its
    versions is in the store then. Raises CheckpointError when the two contradict each other.
    """
    topics = Topics(settings.kafka.topic_prefix)
    directory = running.workspace.directory("learner")
    kind = kind_of(settings.model)
    device = device_of(settings.device)
    recipe = resolve(settings.learner, kind, has_bfloat16=has_bfloat16(device))
    model_files = locate(settings.model)
    model = files.load(model_files, torch.float32, device)
    place = Place(settings.learner.memory_place, device, directory / "memory")
    assembly = Assembly(
        recipe, settings.learner.seed, model, Tokenizer(model_files), place, settings.watch
    )
    with leases.directory.guard():
        identity = settle(
            directory,
            of_new_run(
                settings.model, model, model_files, topics.clean, settings.learner.seed, recipe
            ),
        )
    store.put_model(spoken_files(model_files))
    return Line(
        settings=settings,
        running=running,
        store=store,
        leases=leases,
        metrics=metrics,
        directory=directory,
        topics=topics,
        device=device,
        rhythm=rhythm_of(settings.learner, kind, settings.store.keep_versions),
        assembly=assembly,
        identity=identity,
        deferral=deferral_of(assembly.state, recipe, store),
        examiner=examiner_of(settings, kind, assembly, metrics),
    )
