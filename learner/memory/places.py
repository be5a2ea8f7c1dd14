"""Where the memory's blocks lie: on the host, on the device, or in a mapped file.

* `memory`: the host's, pinned when the model is on CUDA, so that samples travel in the background.
* `device`: beside the model; worth it where strategies store much with each token.
* `mapped`: a sparse file. It is working memory and no more: it is unlinked as soon as it is open,
  so a crash leaves nothing that could be mistaken for state, and the checkpoint stays the truth.
* `auto`: `mapped` for more than MAPPED_FROM_BYTES, else `memory`.

Pages of a mapped file that the disk cannot take kill the process (SIGBUS), so one that would not
fit on the disk is refused at the start.
"""

import mmap
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from riverrun.errors import InvalidValue

PLACES = ("auto", "memory", "mapped", "device")
MAPPED_FROM_BYTES = 1 << 30
"""A gigabyte is what a learner may take of the host's memory without being asked."""


class Place(NamedTuple):
    """Where to lay blocks out. `directory` is for mapped files; None: only `memory`, `device`."""

    name: str = "auto"
    device: torch.device = torch.device("cpu")
    directory: Path | None = None

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of zeros that lies there; untouched pages cost nothing, but on a device.

        Raises InvalidValue for an unknown name, and for a mapped file that cannot be.
        """
        if self.name not in PLACES:
            raise InvalidValue("learner.memory_place", self.name, f"one of {', '.join(PLACES)}")
        num_bytes = dtype.itemsize
        for length in shape:
            num_bytes *= length
        if self._is_mapped(num_bytes):
            return self._mapped(shape, dtype, num_bytes)
        if self.name == "device":
            return torch.zeros(*shape, dtype=dtype, device=self.device)
        pinned = self.device.type == "cuda"
        return torch.zeros(*shape, dtype=dtype, pin_memory=pinned)

    def _is_mapped(self, num_bytes: int) -> bool:
        if self.name == "auto":
            return self.directory is not None and num_bytes > MAPPED_FROM_BYTES
        return self.name == "mapped"

    def _mapped(self, shape: Sequence[int], dtype: torch.dtype, num_bytes: int) -> Tensor:
        if self.directory is None:
            allowed = "`mapped` only with a directory for the file"
            raise InvalidValue("learner.memory_place", self.name, allowed)
        self.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free
        if num_bytes > free:
            allowed = f"a memory of at most the {free:,} bytes that {self.directory} has left"
            raise InvalidValue("learner.memory_blocks", f"{num_bytes:,} bytes", allowed)
        with tempfile.TemporaryFile(dir=self.directory) as file:
            os.ftruncate(file.fileno(), num_bytes)
            pages = mmap.mmap(file.fileno(), num_bytes)
        pages.madvise(mmap.MADV_RANDOM)
        return torch.frombuffer(pages, dtype=dtype).view(*shape)
