"""The learner's process. Small, so that it says `starting` before torch is imported.

Called by `riverrun learner`, and so by the supervisor.
"""

import os

from riverrun.process import process
from riverrun.settings import Settings


def run(settings: Settings) -> None:
    """Be the learner until the process is asked to stop."""
    # Read by libgomp when torch loads it. Threads that wait for their fellows would spin, and take
    # the core from those that work whenever serving wants one too: with a third busy thread on two
    # cores a step of SmolLM2 took 20 s instead of 1.4 s.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.nice(settings.learner.nice)
    with process("learner", settings, settings.learner.metrics_port) as running:
        from learner.start import learn

        learn(settings, running)
