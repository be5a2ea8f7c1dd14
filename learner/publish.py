"""Averaged weights to a version that serving may use.

In this order, so that a kill between any two leaves nothing to mend: the journal is synced, the
version is written and renamed into the store, promoted, noted in the journal, and told to Kafka.
Publishing the same weights again gives the same version and changes nothing.

Knows nothing of when (`loop.py`). Called by `loop.py` and `main.py`.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from learner.announcements import OUTCOMES, Announcements
from learner.identity import Identity
from learner.journal import Decided, Journal, Published
from learner.recipe import Recipe
from learner.state import State
from learner.tensor_file import hash_tensors, write_tensors
from riverrun.metrics import LearnerMetrics
from riverrun.records import VersionEventKind
from riverrun.store import Consequence, Deferral, Manifest, VersionStore, version_id
from riverrun.store.retention import prune

PUBLISH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def published_weights(state: State) -> Mapping[str, Tensor]:
    """All weights by name; those that learn are averaged, and blended with the origin's."""
    return {**state.model.state_dict(), **state.served()}


def hash_of_published(state: State, recipe: Recipe) -> str:
    """The SHA-256 that a version of these weights has."""
    return hash_tensors(published_weights(state), PUBLISH_DTYPES[recipe.publish_dtype])


def write_published(state: State, recipe: Recipe, path: Path) -> None:
    """The file that a version of these weights has."""
    write_tensors(path, published_weights(state), PUBLISH_DTYPES[recipe.publish_dtype])


def deferral_of(state: State, recipe: Recipe, store: VersionStore) -> Deferral | None:
    """To the weights that the state has now, which are put into the store: before anything is
    restored or learned. Raises StoreError."""
    if not recipe.deferral_margin:
        return None
    # Hashing is cheaper than to write, at each start, what is there already.
    sha256 = hash_of_published(state, recipe)
    if not store.has_origin(sha256):
        store.put_origin(partial(write_published, state, recipe))
    return Deferral(sha256, recipe.deferral_margin)


class Publisher:
    """From a state to the store, the journal and the audit log."""

    def __init__(
        self,
        store: VersionStore,
        identity: Identity,
        journal: Journal,
        announcements: Announcements,
        metrics: LearnerMetrics,
        keep_versions: int,
        ladder_s: Sequence[float] = (),
        deferral: Deferral | None = None,
    ) -> None:
        self.store = store
        self._identity = identity
        self._journal = journal
        self._announcements = announcements
        self._metrics = metrics
        self._keep_versions = keep_versions
        self._ladder_s = ladder_s
        self._deferral = deferral

    def publish(
        self,
        state: State,
        metrics: Mapping[str, float],
        reason: str,
        decided: Decided | None = None,
        *,
        is_held: bool = False,
    ) -> Manifest:
        """Publish, and promote unless it was decided otherwise; reason: without a decision.

        is_held: an operator lets nothing be promoted.
        Raises StoreError or OSError when the disk is full: try later.
        """
        began = time.perf_counter()
        self._journal.sync()
        write = partial(write_published, state, self._identity.recipe)

        def describe(sha256: str, num_bytes: int) -> Manifest:
            manifest = self._manifest(state, metrics, reason, sha256, num_bytes)
            manifest = manifest if decided is None else with_decision(manifest, decided)
            return held(manifest) if is_held and manifest.decision == "promote" else manifest

        manifest = self.store.publish(write, describe)
        if manifest.decision == "promote":
            self.store.promote(manifest.version)
        entry = Published(manifest.step, manifest.version, manifest.sha256)
        if state.progress.version != manifest.version:
            self._journal.append(entry)
        note(state, entry)
        self._announcements.tell(manifest)
        # What a roll back goes to, and later versions are held against, however many were held.
        best = state.gate.facts.best
        prune(self.store, self._keep_versions, self._ladder_s, [best] if best else [])
        self._metrics.publish_seconds.observe(time.perf_counter() - began)
        self._metrics.versions.labels(OUTCOMES[manifest.decision]).inc()
        return manifest

    def _manifest(
        self,
        state: State,
        metrics: Mapping[str, float],
        reason: str,
        sha256: str,
        num_bytes: int,
    ) -> Manifest:
        progress = state.progress
        return Manifest(
            version=version_id(self._identity.run, progress.step, sha256),
            parent=progress.version,
            run=self._identity.run,
            step=progress.step,
            created_ms=int(time.time() * 1000),
            model=self._identity.model,
            config_hash=self._identity.recipe.hash(),
            sha256=sha256,
            num_bytes=num_bytes,
            offsets=progress.next_raw,
            learned=list(progress.pending),
            num_documents=progress.num_documents,
            num_held_out=progress.num_held_out,
            num_tokens=progress.num_tokens,
            newest_ms=progress.newest_ms,
            metrics=dict(metrics),
            reason=reason,
            replaces=self._identity.replaces,
            left_out=list(state.left_out.ranges),
            # The origin itself has nobody to defer to.
            deferral=self._deferral if progress.step else None,
        )


CONSEQUENCES: dict[str, VersionEventKind] = {
    "lower_rate": "rate_lowered",
    "rewarm_rate": "rate_rewarmed",
    "reset_optimizer": "optimizer_reset",
    "quarantine": "quarantined",
    "release": "source_released",
    "stop_rehearsal": "rehearsal_stopped",
}


def with_decision(manifest: Manifest, decided: Decided) -> Manifest:
    """The manifest of a version that was judged."""
    done = [
        Consequence(CONSEQUENCES[action.kind], action.subject)
        for action in decided.actions
        if action.kind in CONSEQUENCES
    ]
    abilities = [Consequence("ability", group) for group in decided.changed_abilities]
    return msgspec.structs.replace(
        manifest,
        decision=decided.verdict,
        reason=decided.reason,
        metrics=manifest.metrics | decided.numbers,
        consequences=done + abilities,
    )


HELD = "held by an operator"
"""Head of the reason of a version that would be promoted otherwise."""


def held(manifest: Manifest) -> Manifest:
    """What is held for now, and only by an operator."""
    reason = f"{HELD}; {manifest.reason}"
    return msgspec.structs.replace(manifest, decision="hold", reason=reason)


def note(state: State, published: Published) -> None:
    """What a publication changes in the state; done again when the journal is replayed."""
    state.progress.version = published.version
    state.progress.version_step = published.step
    state.progress.pending = []
    state.gate.published(published)
