"""The fixture of `runs.py`."""

from tests.learner.avalanche.runs import start

__all__ = ["start"]
