"""What the step asks of a strategy: which memories it wants, and a loss.

A strategy has no state of its own, so a checkpoint need not know it. It is given the live model
and one chunk of the step; weights in the chunk are those of the whole step, so a strategy adds up
weighted terms and never divides by a count.

N predicted tokens, M anchored positions.
"""

from typing import NamedTuple, Protocol

from torch import Tensor

from learner.batch import Batch
from riverrun.model.decoder import Decoder


class Losses(NamedTuple):
    """`total` is what the gradient is taken of; the rest is what the reports tell."""

    total: Tensor
    predictions_N: Tensor
    divergences_M: Tensor | None = None


class Strategy(Protocol):
    """A loss from (model, batch with its memory samples)."""

    @property
    def uses_memory(self) -> bool:
        """Whether a share of the step's examples comes from the replay memory."""

    @property
    def uses_origin(self) -> bool:
        """Whether anchors from the origin memory are in the batch."""

    def losses(self, model: Decoder, batch: Batch) -> Losses: ...
