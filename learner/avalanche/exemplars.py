"""Our replay memory in Avalanche, as an `ExemplarsBuffer`: for its `ReplayPlugin` and others.

    buffer = MemoryBuffer(max_size=4096, block_tokens=256, policy="balanced")
    ReplayPlugin(mem_size=4096, storage_policy=buffer)

Avalanche's own reservoir makes a data set of the data sets before at each update and lets none of
them go; this one writes into blocks that were allocated once. Experiences are its sources. Data
sets are rows (`rows.py`), as everywhere in this folder.
"""

from typing import Any

import numpy as np
from avalanche.training.storage_policy import ExemplarsBuffer

from learner.avalanche.rows import dataset_of, examples_of, rows_of, tensors_of
from learner.memory import Memory
from learner.memory.reservoir import Reservoir
from learner.seeds import random_for


class MemoryBuffer(ExemplarsBuffer):  # type: ignore[misc]
    """At most `max_size` examples of at most `block_tokens` tokens."""

    def __init__(
        self, max_size: int, block_tokens: int, policy: str = "reservoir", seed: int = 0
    ) -> None:
        super().__init__(max_size)
        self._policy = policy
        self._seed = seed
        self._num_experiences = 0
        self.memory = Memory(max_size, block_tokens, policy=policy)

    @property
    def buffer(self) -> Any:
        """The examples that are held now, as a data set."""
        every = np.arange(len(self.memory), dtype=np.int64)
        return dataset_of(*rows_of(self.memory.examples(every), self.memory.block_tokens))

    def update(self, strategy: Any, **kwargs: Any) -> None:
        del kwargs
        self.post_adapt(strategy, strategy.experience)

    def post_adapt(self, agent: Any, exp: Any) -> None:
        """Offer the examples of an experience to the memory."""
        del agent
        examples = examples_of(tensors_of(exp.dataset)[0])
        random = random_for(self._seed, self._num_experiences, "exemplars")
        self.memory.add(examples, f"experience {self._num_experiences}", random)
        self._num_experiences += 1

    def resize(self, strategy: Any, new_size: int) -> None:
        """Hold at most `new_size`: of what is held, what the policy chooses.

        A reservoir that shrinks stays a uniform sample of all that it was ever offered; other
        policies begin to count anew.
        """
        del strategy
        before = self.memory
        random = random_for(self._seed, self._num_experiences, f"resize {new_size}")
        self.memory = Memory(new_size, before.block_tokens, policy=self._policy)
        self.max_size = new_size
        names = list(before.sources)
        sampled = before.sample(new_size, random)
        of_each = before.table["sources"][sampled.slots].tolist()
        for example, source in zip(sampled.examples, of_each, strict=True):
            self.memory.add([example], names[source], random)
        if isinstance(self.memory.policy, Reservoir) and len(self.memory) == new_size:
            self.memory.table.num_seen = before.num_seen
