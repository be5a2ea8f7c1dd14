"""What the step asks of a strategy: which memories it wants, a loss, and hooks where it needs them.

It is given the live model and one chunk of the step; weights in the chunk are those of the whole
step, so a strategy adds up weighted terms and never divides by a count. One that keeps numbers of
its own (importances, a teacher) is a part of the state and returns itself as `part`.

N predicted tokens, M anchored positions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from learner.batch import Batch
from learner.memory import Extra, Placed
from learner.part import Part
from riverrun.model.decoder import Decoder

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State


class Losses(NamedTuple):
    """`total` is what the gradient is taken of; the rest is what the reports tell."""

    total: Tensor
    predictions_N: Tensor
    divergences_M: Tensor | None = None


class Strategy:
    """A loss from (model, batch with its memory samples); the hooks do nothing unless overridden.

    In a step they are called in the order in which they stand here; `losses` once a chunk.

    uses_memory: whether a share of the step's examples comes from the replay memory.
    uses_origin: whether anchors from the origin memory are in the batch.
    """

    uses_memory = False
    uses_origin = False

    @property
    def extras(self) -> Mapping[str, Extra]:
        """What of it the memory stores with each predicted token."""
        return {}

    @property
    def part(self) -> Part | None:
        """What of it a checkpoint has to hold."""
        return None

    def begin(self, state: "State", lesson: "Lesson") -> None:
        """A step begins: nothing of it is computed yet."""

    def losses(self, model: Decoder, batch: Batch) -> Losses:
        raise NotImplementedError

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        """The gradients of the whole step are there, not clipped yet: they may be changed."""

    def after_update(self, state: "State", lesson: "Lesson") -> None:
        """The weights have just changed."""

    def remembered(self, state: "State", owner: int, placed: Placed) -> None:
        """The new document `lesson.shown[owner]` was offered to the memory."""
