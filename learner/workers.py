"""The threads that learn: each takes whole parts of the work, and they meet when all are done.

torch's own threads share each product instead, and meet some ten thousand times a step. Where they
sleep while they wait, as they have to beside a server, two of them are hardly quicker than one, and
slower where the products are small (docs/experiments.md, "Two threads, and what they wait for").
So torch has one thread in each worker, up to MOST_WORKERS of them.

One number a process, as torch's own is: the bits of a step depend on it. Set by `machine.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch

MOST_WORKERS = 4
"""A step has some ten examples; of more threads each worker gives torch several."""

S = TypeVar("S")
T = TypeVar("T")


class _Pool:
    """The workers besides the caller's own thread; they are made when they are first needed."""

    num_workers = 1
    _threads: ThreadPoolExecutor | None = None

    def threads(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.num_workers - 1, "worker")
        return self._threads

    def resize(self, num_workers: int) -> None:
        if self._threads is not None and num_workers != self.num_workers:
            self._threads.shutdown()
            self._threads = None
        self.num_workers = num_workers


_pool = _Pool()


def share_out(num_threads: int) -> None:
    """Have so many threads learn, between steps only."""
    num_workers = min(num_threads, MOST_WORKERS)
    torch.set_num_threads(num_threads // num_workers)
    _pool.resize(num_workers)


def num_workers() -> int:
    return _pool.num_workers


def num_threads() -> int:
    """Of all workers."""
    return _pool.num_workers * torch.get_num_threads()


@contextmanager
def undivided() -> Iterator[None]:
    """Work that cannot be parted: the caller's torch has the threads of all workers meanwhile."""
    of_each = torch.get_num_threads()
    torch.set_num_threads(num_threads())
    try:
        yield
    finally:
        torch.set_num_threads(of_each)


def run(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What the calls give, in their order: the first one in the caller's thread, the others beside
    it. More calls than workers wait for their turn.

    Raises what the first of them raised, when all have ended. Whatever torch keeps for each thread
    (autocast, whether gradients are recorded) a call has to set for itself. Not from within a call.
    """
    if _pool.num_workers == 1 or len(calls) < 2:
        return [call() for call in calls]
    others = [_pool.threads().submit(call) for call in calls[1:]]
    try:
        first = calls[0]()
    finally:
        wait(others)
    return [first, *(one.result() for one in others)]


def spread(call: Callable[[Sequence[S]], Sequence[T]], items: Sequence[S]) -> list[T]:
    """What `call` gives for each of the items, when each worker calls it with a part of them."""
    num = min(_pool.num_workers, len(items)) or 1
    bounds = [len(items) * i // num for i in range(num + 1)]
    parts = [items[first:end] for first, end in pairwise(bounds)]
    return [one for found in run([partial(call, part) for part in parts]) for one in found]
