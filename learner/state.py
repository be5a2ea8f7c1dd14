"""All that a step reads and changes: what a checkpoint holds, and nothing else.

The origin memory is not in it, since it never changes after it was filled.
"""

import msgspec

from learner.blend import Blend
from learner.ema import Average
from learner.memory import Memory
from learner.optimizer import Optimizer, learning_parameters
from learner.pace import Pace
from learner.recipe import Recipe
from learner.rehearsal import Rehearsal
from riverrun.model.decoder import Decoder
from riverrun.records import Span


class Progress(msgspec.Struct, kw_only=True):
    """The numbers of a run.

    marks: per partition the highest raw offset learned; what is not above it is a repetition.
    next_clean: per partition the first clean offset that is not yet dealt with.
    pending: what was learned since the last version.
    """

    step: int = 0
    num_updates: int = 0
    marks: dict[int, int] = msgspec.field(default_factory=dict)
    next_clean: dict[int, int] = msgspec.field(default_factory=dict)
    num_documents: int = 0
    num_tokens: int = 0
    newest_ms: int | None = None
    version: str | None = None
    version_step: int = 0
    pending: list[Span] = msgspec.field(default_factory=list)

    @property
    def next_raw(self) -> dict[int, int]:
        """Per partition the next raw offset that the weights have not seen."""
        return {partition: mark + 1 for partition, mark in sorted(self.marks.items())}


class State:
    """One model in learning, given untouched. See `step.py` and `checkpoint.py`."""

    def __init__(self, model: Decoder, recipe: Recipe) -> None:
        self.model = model
        parameters = learning_parameters(model, recipe)
        self.optimizer = Optimizer(parameters, recipe)
        self.average = Average(parameters, recipe.ema_decay)
        self.blend = Blend(parameters, recipe.origin_share)
        self.memory = Memory(recipe.memory_blocks, recipe.block_tokens)
        self.rehearsal = Rehearsal(recipe)
        self.pace = Pace(recipe.lr, recipe.warmup_steps)
        self.progress = Progress()
