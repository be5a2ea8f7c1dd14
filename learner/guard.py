"""What stands around each act that others can see, so that only the one who may does it.

Checkpoints, the journal and the version store take a guard and know nothing of leases.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Guard = Callable[[], AbstractContextManager[None]]
"""Entered around each act that others can see; raises LeaseLost when it must not happen."""


def unguarded() -> AbstractContextManager[None]:
    """For what nobody else can write to: tests, offline tools."""
    return nullcontext()
