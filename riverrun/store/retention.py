"""Which versions keep their weights, for there is no room for all.

The newest ones do, the promoted one, those that the caller wants, some of each age
(`riverrun/ladder.py`), and every one that an operator pinned: its directory has a file `PINNED`.
Manifests stay for good: they are small, and `trace` reads them. Called by `learner/publish.py`
after each version.
"""

import time
from collections.abc import Sequence

from riverrun.ladder import rungs
from riverrun.store.versions import VERSIONS, WEIGHTS, VersionStore

PINNED = "PINNED"


def prune(
    store: VersionStore, keep: int, ladder_s: Sequence[float] = (), wanted: Sequence[str] = ()
) -> list[str]:
    """Drop the weights of old versions; the ids of those that lost them.

    keep: so many newest stay. ladder_s: periods, seconds. What killed writers left is swept, too.
    """
    spared = {store.promoted(), *wanted, *store.files.directories_with(PINNED, VERSIONS)}
    versions = store.by_age(store.files.directories_with(WEIGHTS, VERSIONS))
    times_s = [store.manifest(version).created_ms / 1000 for version in versions]
    spared |= {versions[i] for i in rungs(times_s, time.time(), ladder_s)}
    dropped = [version for version in versions[:-keep] if version not in spared]
    for version in dropped:
        store.files.remove(VERSIONS, version, WEIGHTS)
    store.files.sweep(VERSIONS)
    return dropped
