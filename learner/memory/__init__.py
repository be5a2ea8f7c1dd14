"""The replay memory: examples of the stream, in blocks that are allocated once.

`replay.py` is the memory, `places.py` where its blocks lie, one file a policy: which examples it
keeps and which it shows.
"""

from learner.memory.places import Place
from learner.memory.policy import Tuning
from learner.memory.replay import Extra, Memory, Sampled

__all__ = ["Extra", "Memory", "Place", "Sampled", "Tuning"]
