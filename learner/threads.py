"""How many threads of torch learn. Imports no torch: `main.py` asks before it is loaded."""

import os

from learner.recipe import kind_of
from riverrun.settings import Settings


def num_cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def yields(settings: Settings) -> bool:
    """Whether learning runs only while nobody else wants the core. With several threads a step
    would wait for the one on serving's."""
    return settings.learner.nice is None and threads_of(settings) == 1


def threads_of(settings: Settings) -> int:
    """For learning beside serving: one for `tiny`, whose products are too small to share."""
    usual = 1 if kind_of(settings.model) == "scratch" else num_cores()
    return settings.learner.num_threads or usual
