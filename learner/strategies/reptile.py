"""Meta steps: slow weights that go part of the way of every few updates, and start the next ones.

Directions in which single updates disagree cancel out; those that several of them share stay. With
replay this aligns the gradients of new and old text.

Source: Nichol et al., On First-Order Meta-Learning Algorithms (Reptile), 2018 (arXiv:1803.02999),
as in Riemer et al., Meta-Experience Replay, 2019 (arXiv:1810.11910): over updates of the stream
instead of over tasks. The optimizer's moments go on.

The slow weights are a part of the state.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from learner.part import Part, Snapshot
from learner.recipe import Recipe
from learner.strategies.term import Term

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State


class Reptile(Term):
    is_pure = True

    def __init__(self, recipe: Recipe, prefix: Sequence[int]) -> None:
        super().__init__(recipe, prefix)
        self._interval = recipe.reptile_interval
        self._rate = recipe.reptile_rate
        self._slow: dict[str, Tensor] = {}

    @property
    def part(self) -> Part | None:
        return self

    def begin(self, state: "State", lesson: "Lesson") -> None:
        del lesson
        if not self._slow:
            fast = state.optimizer.parameters
            self._slow = {name: p.detach().clone() for name, p in fast.items()}

    @torch.no_grad()
    def after_update(self, state: "State", lesson: "Lesson") -> None:
        del lesson
        if state.progress.num_updates % self._interval:
            return
        fast = state.optimizer.parameters
        for name, slow in self._slow.items():
            slow.lerp_(fast[name].detach(), self._rate)
            fast[name].copy_(slow)

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot(dict(self._slow))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        self._slow = {name: tensor.clone() for name, tensor in snapshots[-1].tensors.items()}
