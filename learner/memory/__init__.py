"""The replay memory: examples of the stream, in blocks that are allocated once.

`replay.py` is the memory, `places.py` where its blocks lie, one file a policy: which examples it
keeps and which it shows.
"""

from learner.memory.places import Place
from learner.memory.policy import Placed, Tuning
from learner.memory.replay import HOST, Extra, Memory, Sampled

__all__ = ["HOST", "Extra", "Memory", "Place", "Placed", "Sampled", "Tuning"]
