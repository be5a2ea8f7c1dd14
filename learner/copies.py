"""Copies of snapshots in memory that is kept for them, so that learning goes on while they are
written.

The learner's thread copies and does nothing else. Buffers are kept from one checkpoint to the next:
fresh memory costs far more time than the copy itself (docs/experiments.md).
The price is the size of one checkpoint, in memory.

Knows nothing of files. Called by `checkpoint.py`.
"""

from collections.abc import Mapping

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

    def reserve(self, sizes: Mapping[str, int], is_cuda: bool) -> None:
        """Have memory for `sizes` (bytes, by `PART.TENSOR`), and every page of it.

        The kernel gives fresh pages slowly: 1.3 GB took 14 s on a busy machine, the copy 0.3 s.
        """
        for key, num_bytes in sizes.items():
            buffer = self._buffers.get(key)
            if buffer is None or buffer.numel() < num_bytes:
                made = torch.empty(num_bytes, dtype=torch.uint8, pin_memory=is_cuda)
                self._buffers[key] = made.zero_()

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
