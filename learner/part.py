"""A part of the learner's state: what a checkpoint writes, and what a restart gives back.

Each thing that a step changes (weights, moments, memory, due documents, held-out text, detectors,
a strategy's own numbers) is a part with a name. The checkpoint knows parts and no more; so a new
one needs no change there, and none can be forgotten without a test seeing it.

Knows nothing of files. Implemented all over the learner, used by `checkpoint.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor


class Snapshot(NamedTuple):
    """A part at one moment, or what has changed in it since its snapshot before.

    tensors: may be the live ones; whoever keeps them past the next step copies them.
    facts: JSON, all that is no tensor.
    """

    tensors: dict[str, Tensor]
    facts: bytes = b"{}"
    is_whole: bool = True


class Part(Protocol):
    """See the module."""

    def snapshot(self, *, whole: bool) -> Snapshot:
        """The part now. Unless `whole`, one that is large may give only its changes since the
        last snapshot it gave; the caller asks for a whole one whenever that one was not kept."""
        ...

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Be what `snapshots` say: a whole one, then changes in the order they were given.

        Raises CheckpointError, with nothing changed, when they do not fit (another capacity).
        """
        ...
