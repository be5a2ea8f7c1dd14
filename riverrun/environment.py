"""What torch's libraries read from the environment when they are loaded.

So every program that learns calls this before anything imports torch. What is set already
stays. Imports nothing but the standard library.
"""

import os

PRIMITIVES = "64"
"""Products in bfloat16 are compiled for each shape, and documents have many: the 1,024 that oneDNN
keeps otherwise take 1 GB for `tiny` and several for SmolLM2. 64 cost no time."""


def prepare_to_learn() -> None:
    # Threads that wait for their fellows would spin, and take the core from those that work
    # whenever serving wants one too: with a third busy thread on two cores a step of SmolLM2 took
    # 20 s instead of 1.4 s.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, PRIMITIVES)
