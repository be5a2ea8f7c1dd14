"""The gate of a run, put together from settings and store. Called by `start.py`."""

import logging

from learner.assembly import Assembly
from learner.gate.gate import Gate
from learner.gate.reference import Reference
from learner.publish import PUBLISH_DTYPES
from learner.recipe import Kind
from learner.watch.surprise import Surprise
from riverrun.metrics import LearnerMetrics
from riverrun.settings import Settings
from riverrun.store import VersionStore

log = logging.getLogger(__name__)


def gate_of(
    settings: Settings,
    kind: Kind,
    assembly: Assembly,
    store: VersionStore,
    metrics: LearnerMetrics,
) -> Gate:
    """Once the journal was done again: the reference is the best version that the state knows."""
    state = assembly.state
    reference = Reference(PUBLISH_DTYPES[assembly.recipe.publish_dtype])
    device = state.model.output_matrix.device
    for version in (state.gate.facts.best, store.promoted()):
        if version is not None and reference.load(store, version, device):
            break
    else:
        log.warning("no promoted version has weights: the next one is compared with nothing")
    surprise = Surprise(assembly.framing, assembly.recipe)
    return Gate(settings.gate, surprise, reference)
