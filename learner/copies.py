"""Copies of snapshots in memory that is kept for them, so that learning goes on while they are
written.

The learner's thread copies and does nothing else. Buffers are kept from one checkpoint to the next:
fresh memory costs the kernel as much time as the copy itself (1.3 GB: see docs/experiments.md).
The price is the size of one checkpoint, in memory.

Knows nothing of files. Called by `checkpoint.py`.
"""

import torch
from torch import Tensor

from learner.part import Snapshot


class Copies:
    """One snapshot of each part at a time; the next `take` writes over it."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    @torch.no_grad()
    def take(self, part: str, snapshot: Snapshot) -> Snapshot:
        """The same snapshot on the CPU, in memory that no step touches."""
        tensors = {
            name: self._copy(f"{part}.{name}", tensor.detach())
            for name, tensor in snapshot.tensors.items()
        }
        return snapshot._replace(tensors=tensors)

    @property
    def num_bytes(self) -> int:
        return sum(buffer.numel() for buffer in self._buffers.values())

    def _copy(self, key: str, tensor: Tensor) -> Tensor:
        num_bytes = tensor.numel() * tensor.element_size()
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < num_bytes:
            # Pinned memory takes a GPU's tensors at full speed.
            buffer = torch.empty(num_bytes, dtype=torch.uint8, pin_memory=tensor.is_cuda)
            self._buffers[key] = buffer
        copy = buffer[:num_bytes].view(tensor.dtype).view(tensor.shape)
        copy.copy_(tensor)
        return copy
