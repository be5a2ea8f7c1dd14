"""The learner's process. Small, so that it says `starting` and holds its leases before torch is
imported.

Called by `riverrun learner`, and so by the supervisor.
"""

from learner.lease import Leases, is_abandoned
from learner.threads import threads_of, yields
from riverrun.environment import prepare_to_learn
from riverrun.priority import step_back
from riverrun.process import process
from riverrun.settings import Settings
from riverrun.store import store_of
from riverrun.workspace import Workspace


def run(settings: Settings) -> None:
    """Be the learner until the process is asked to stop."""
    prepare_to_learn()
    if not yields(settings):
        step_back(settings.learner.nice, num_threads=threads_of(settings))
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
