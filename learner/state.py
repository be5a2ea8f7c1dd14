"""All that a step reads and changes: what a checkpoint holds, and nothing else.

It is made of named parts (`part.py`), and whatever else changes with a step (a strategy's numbers,
held-out text, detectors) is added as one more. The origin memory is not in it, since it never
changes after it was filled.
"""

from collections.abc import Mapping

import msgspec
from torch import Tensor

from learner.blend import Blend
from learner.ema import Average
from learner.gate.record import Record
from learner.left_out import StandingLeftOut
from learner.memory import HOST, Extra, Place
from learner.memory.make import memory_of
from learner.notebook import Notebook
from learner.optimizer import Optimizer, learning_parameters
from learner.pace import Pace
from learner.part import Part
from learner.quarantine import Quarantine
from learner.recipe import Recipe
from learner.rehearsal import Rehearsal
from learner.state_parts import Numbers, OptimizerPart, Tensors
from learner.watch.held_out import HeldOut
from learner.watch.non_finite import Skipped
from riverrun.model.decoder import Decoder
from riverrun.records import Span


class Progress(msgspec.Struct, kw_only=True):
    """The numbers of a run.

    marks: per partition the highest raw offset learned; what is not above it is a repetition.
    next_clean: per partition the first clean offset that is not yet dealt with.
    pending: what was learned since the last version.
    non_finite: the newest steps that were skipped, and whose fault it was.
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
    num_held_out: int = 0
    non_finite: list[Skipped] = msgspec.field(default_factory=list)

    @property
    def next_raw(self) -> dict[int, int]:
        """Per partition the next raw offset that the weights have not seen."""
        return {partition: mark + 1 for partition, mark in sorted(self.marks.items())}


class State:
    """One model in learning, given untouched. See `step.py` and `checkpoint.py`."""

    def __init__(
        self,
        model: Decoder,
        recipe: Recipe,
        extras: Mapping[str, Extra] | None = None,
        place: Place = HOST,
    ) -> None:
        """extras: what the strategy stores in the memory. place: where the memory lies."""
        self.model = model
        parameters = learning_parameters(model, recipe)
        self.optimizer = Optimizer(parameters, recipe)
        self.average = Average(parameters, recipe.ema_decay)
        self.blend = Blend(parameters, recipe.origin_share)
        self.memory = memory_of(recipe, extras, place)
        self.rehearsal = Rehearsal(recipe)
        self.notebook = Notebook(recipe.target_loss)
        self.pace = Pace(recipe.lr, recipe.warmup_steps)
        self.progress = Progress()
        self.gate = Record()
        self.quarantine = Quarantine()
        self.left_out = StandingLeftOut()
        self.held_out = HeldOut(
            recipe.held_out_share, recipe.held_out_after, recipe.held_out_bucket_s
        )
        self.parts: dict[str, Part] = {
            "weights": Tensors(parameters),
            "optimizer": OptimizerPart(self.optimizer, lambda: self.progress.num_updates),
            "memory": self.memory,
            "rehearsal": self.rehearsal,
            "notebook": self.notebook,
            "pace": self.pace,
            "gate": self.gate,
            "held_out": self.held_out,
            "quarantine": self.quarantine,
            "left_out": self.left_out,
            "progress": Numbers(lambda: self.progress, self._set_progress),
        }
        if not self.average.is_live:
            self.parts["average"] = Tensors(self.average.weights())

    def served(self) -> Mapping[str, Tensor]:
        """The weights that learn, as a version holds them: averaged, and blended with the origin's.

        Computed anew where the recipe blends, else views that follow the learner.
        """
        return self.blend.of(self.average.weights())

    def add_part(self, name: str, part: Part) -> None:
        """Let checkpoints hold `part` too. Before the state is restored or a step is done."""
        assert name not in self.parts, name
        assert name.replace("_", "").isalnum(), f"{name} has to do as the head of a file's name"
        self.parts[name] = part

    def _set_progress(self, progress: Progress) -> None:
        self.progress = progress
