"""Avalanche's agent for a step that is done elsewhere: holds what plugins look at, and calls them.

Plugins see the live model, its gradients, the minibatch with its loss, the experience and the
clock, and are called in the order of Avalanche's own loop. That loop is not used: its first
`train()` would replace the optimizer's state, and a step must be able to stop between two lines.
"""

import warnings
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from avalanche.training.utils import trigger_plugins
from torch import Tensor

from learner.avalanche.rows import RowModel, criterion, dataset_of
from learner.batch import Batch

BATCH_ROWS = 8
"""Rows that a plugin runs at once over an experience's examples."""


class Experience:
    """What an experience left: a uniform sample of its examples."""

    def __init__(self, number: int, dataset: Any) -> None:
        self.current_experience = number
        self.dataset = dataset
        self.task_labels = [0]
        self.task_label = 0


class Agent(SupervisedTemplate):  # type: ignore[misc]
    """One plugin and the clock, nothing else of Avalanche's (no evaluation, no logging)."""

    mbatch: list[object] | None
    mb_output: Tensor | None
    loss: Tensor
    experience: Experience | None

    def __init__(self, *, model: RowModel, plugin: Any) -> None:
        super().__init__(
            model=model,
            # Only ever clears gradients: the update is the learner's.
            optimizer=torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0),
            criterion=criterion,
            train_mb_size=BATCH_ROWS,
            device=model.decoder.output_matrix.device,
            plugins=[plugin],
            evaluator=SupervisedPlugin(),
        )
        self.plugins = [plugin, self.clock]

    def make_optimizer(self, **kwargs: Any) -> None:
        """The learner has one."""

    def call(self, event: str) -> None:
        with warnings.catch_warnings():
            # Theirs, of numpy's functions given tensors.
            warnings.simplefilter("ignore", DeprecationWarning)
            trigger_plugins(self, event)

    def see(self, batch: Batch, logits_NV: Tensor, loss: Tensor) -> None:
        """A chunk of the step is the minibatch now."""
        self.mbatch = [batch, batch.targets_N, torch.zeros_like(batch.targets_N)]
        self.mb_output = logits_NV
        self.loss = loss

    def forget(self) -> None:
        """Hold nothing of the minibatch: it would keep its graph alive."""
        self.mbatch = None
        self.mb_output = None
        self.loss = self._make_empty_loss()

    def experienced(self, x: Tensor, y: Tensor) -> None:
        """The current experience is over, and this is what is left of it."""
        self.experience = Experience(self.clock.train_exp_counter, dataset_of(x, y))
