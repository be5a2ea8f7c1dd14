"""What one idea adds to a strategy: a loss, and hooks where it needs them.

A term is given what the live model said about one chunk of the step; weights in the chunk are those
of the whole step, so it adds up weighted terms and never divides by a count. One that keeps numbers
of its own (importances, a teacher) is a part of the state and returns itself as `part`.

N predicted tokens, M anchored positions, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from learner.batch import Batch
from learner.memory import Extra, Placed
from learner.part import Part
from learner.recipe import Recipe

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State


class Said(NamedTuple):
    """What the model said about a chunk."""

    logits_NV: Tensor
    logits_MV: Tensor


class Added(NamedTuple):
    """What a term adds to the loss. divergences_M: from the origin, of one that compares."""

    loss: Tensor
    divergences_M: Tensor | None = None


class Term:
    """One idea; nothing of it does anything unless overridden.

    In a step the hooks are called in the order in which they stand here; `loss` once a chunk.

    uses_memory: whether a share of the step's examples comes from the replay memory.
    uses_origin: whether anchors from the origin memory are in the batch.
    is_pure: whether `loss` changes nothing and is a sum over positions, so that shares of a chunk
    may be asked side by side.
    """

    uses_memory = False
    uses_origin = False
    is_pure = False

    def __init__(self, recipe: Recipe, prefix: Sequence[int]) -> None:
        """prefix: the framing's, for terms that run a model of their own."""

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

    def loss(self, batch: Batch, said: Said) -> Added | None:
        """What is added to the loss; None for nothing."""
        del batch, said
        return None

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        """The gradients of the whole step are there, not clipped yet: they may be changed."""

    def after_update(self, state: "State", lesson: "Lesson") -> None:
        """The weights have just changed."""

    def remembered(self, state: "State", owner: int, placed: Placed) -> None:
        """The new document `lesson.shown[owner]` was offered to the memory."""
