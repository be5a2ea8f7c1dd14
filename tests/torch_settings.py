"""Torch's settings are a process's own: whoever changes them leaves them as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def as_they_were() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
