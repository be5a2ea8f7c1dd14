"""Where every random number of the learner comes from: the run's seed, a step, a purpose.

So a step that is done again after a crash draws the same numbers, whatever was drawn before it.
"""

import hashlib

import numpy as np

Random = np.random.Generator


def seed_of(run_seed: int, step: int, purpose: str) -> int:
    """A 63-bit seed; equal arguments give equal seeds, on every machine."""
    text = f"{run_seed}:{step}:{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def random_for(run_seed: int, step: int, purpose: str) -> Random:
    """A generator of its own for each purpose: one more draw here moves nothing there."""
    return np.random.Generator(np.random.PCG64(seed_of(run_seed, step, purpose)))


def distinct(random: Random, num_all: int, num_wanted: int) -> list[int]:
    """`num_wanted` different indices below `num_all` (all of them when there are fewer).

    Source: Floyd's algorithm (Bentley, Programming Pearls): O(num_wanted), however many there are.
    """
    if num_wanted >= num_all:
        return list(range(num_all))
    chosen: dict[int, None] = {}
    for last in range(num_all - num_wanted, num_all):
        index = int(random.integers(0, last + 1))
        chosen[last if index in chosen else index] = None
    return list(chosen)
