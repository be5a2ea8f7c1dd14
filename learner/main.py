"""The learner's process. Small, so that it says `starting` and holds its leases before torch is
imported.

Called by `riverrun learner`, and so by the supervisor.
"""

import os

from learner.lease import Leases, is_abandoned
from riverrun.priority import step_back
from riverrun.process import process
from riverrun.settings import Settings
from riverrun.store import store_of
from riverrun.workspace import Workspace


def run(settings: Settings) -> None:
    """Be the learner until the process is asked to stop."""
    # Read by libgomp when torch loads it. Threads that wait for their fellows would spin, and take
    # the core from those that work whenever serving wants one too: with a third busy thread on two
    # cores a step of SmolLM2 took 20 s instead of 1.4 s.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Products in bfloat16 are compiled for each shape, and documents have many: the 1,024 that are
    # kept otherwise take 1 GB. 64 cost no time.
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    step_back(settings.learner.nice)
    workspace = Workspace(settings.data_dir)
    directory = workspace.directory("learner")
    length_s = settings.learner.lease_s
    with process(
        "learner",
        settings,
        settings.learner.metrics_port,
        is_abandoned=lambda: is_abandoned(directory, length_s),
    ) as running:
        store = store_of(settings)
        leases = Leases(directory, store, length_s)
        store.fence(leases.store.guard)
        with leases.held(running.stop, running.request_stop) as is_held:
            if not is_held:
                return
            from learner.start import learn

            learn(settings, running, store, leases)
