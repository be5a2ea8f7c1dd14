"""The replay memory: examples of the stream, in blocks that are allocated once.

A reservoir: of all examples ever added, each is held with the same probability. Adding and sampling
cost what the batch costs, however much is held; nothing grows after the start.

Knows nothing of tensors on a device or of losses. Called by `step.py`; its arrays are part of each
checkpoint.

C capacity in blocks, T tokens of a block.

Source: Vitter, Random Sampling with a Reservoir, 1985 (algorithm R).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from learner.framing import Example
from learner.seeds import Random, distinct

Array = npt.NDArray[np.int32]


class Memory:
    """At most `capacity` examples of at most `block_tokens` tokens."""

    def __init__(self, capacity: int, block_tokens: int) -> None:
        self.capacity = capacity
        self.block_tokens = block_tokens
        self.num_held = 0
        self.num_seen = 0
        self.sources: dict[str, int] = {}
        self.tokens_CT: Array = np.zeros((capacity, block_tokens), np.int32)
        self.lengths_C: Array = np.zeros(capacity, np.int32)
        self.first_targets_C: Array = np.zeros(capacity, np.int32)
        self.follow_prefix_C: Array = np.zeros(capacity, np.int32)
        self.sources_C: Array = np.zeros(capacity, np.int32)

    def add(self, examples: Sequence[Example], source: str, random: Random) -> None:
        for example in examples:
            slot = self._slot(random)
            if slot is None:
                continue
            self.tokens_CT[slot, : len(example.tokens)] = example.tokens
            self.lengths_C[slot] = len(example.tokens)
            self.first_targets_C[slot] = example.first_target
            self.follow_prefix_C[slot] = example.follows_prefix
            self.sources_C[slot] = self.sources.setdefault(source, len(self.sources))

    def _slot(self, random: Random) -> int | None:
        """Where the next example goes; None when the reservoir passes it by."""
        self.num_seen += 1
        if self.num_held < self.capacity:
            self.num_held += 1
            return self.num_held - 1
        slot = int(random.integers(self.num_seen))
        return slot if slot < self.capacity else None

    def sample(self, num_examples: int, random: Random) -> list[Example]:
        """Different examples, each as likely as any other; all of them when there are fewer."""
        return [self._example(slot) for slot in distinct(random, self.num_held, num_examples)]

    def _example(self, slot: int) -> Example:
        tokens = self.tokens_CT[slot, : self.lengths_C[slot]].tolist()
        return Example(tokens, int(self.first_targets_C[slot]), bool(self.follow_prefix_C[slot]))

    # The checkpoint's view: only what is held, so that an empty memory costs nothing

    def arrays(self) -> dict[str, Array]:
        held = self.num_held
        return {
            "tokens": self.tokens_CT[:held],
            "lengths": self.lengths_C[:held],
            "first_targets": self.first_targets_C[:held],
            "follow_prefix": self.follow_prefix_C[:held],
            "sources": self.sources_C[:held],
        }

    def restore(
        self, arrays: Mapping[str, Array], num_seen: int, sources: Mapping[str, int]
    ) -> None:
        """Be what `arrays`, `num_seen` and `sources` of an equally large memory were."""
        self.num_held, self.num_seen = len(arrays["lengths"]), num_seen
        self.sources = dict(sources)
        for name, own in self._whole().items():
            own[: self.num_held] = arrays[name]
            own[self.num_held :] = 0

    def _whole(self) -> dict[str, Array]:
        return {
            "tokens": self.tokens_CT,
            "lengths": self.lengths_C,
            "first_targets": self.first_targets_C,
            "follow_prefix": self.follow_prefix_C,
            "sources": self.sources_C,
        }
