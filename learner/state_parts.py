"""Parts made of what is no part by itself: tensors that stay in place, and a struct of numbers.

Knows nothing of files or of what the tensors mean. Made by `state.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor

from learner.part import Snapshot
from riverrun.errors import CheckpointError

if TYPE_CHECKING:
    from learner.optimizer import Optimizer


class Tensors:
    """Tensors by name that are written into, never replaced."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: tensor.detach() for name, tensor in tensors.items()}

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot(self._tensors)

    @torch.no_grad()
    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        found = snapshots[-1].tensors
        for name in sorted(self._tensors.keys() | found.keys()):
            own, other = self._tensors.get(name), found.get(name)
            if own is None or other is None or own.shape != other.shape:
                here, there = (t if t is None else tuple(t.shape) for t in (own, other))
                raise CheckpointError(f"{name} has shape {there} there and {here} here")
        for name, own in self._tensors.items():
            own.copy_(found[name])


class Numbers:
    """A struct that its owner replaces as a whole."""

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self._read = read
        self._write = write

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self._read()))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            self._write(msgspec.json.decode(snapshots[-1].facts, type=type(self._read())))
        except msgspec.DecodeError as error:
            raise CheckpointError(str(error)) from error


class OptimizerPart:
    """The moments, and how many updates made them."""

    def __init__(self, optimizer: "Optimizer", num_updates: Callable[[], int]) -> None:
        self._optimizer = optimizer
        self._num_updates = num_updates

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        facts = msgspec.json.encode({"num_updates": self._num_updates()})
        return Snapshot(self._optimizer.tensors(), facts)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        num_updates = msgspec.json.decode(snapshots[-1].facts, type=dict[str, int])["num_updates"]
        self._optimizer.restore(snapshots[-1].tensors, num_updates)
