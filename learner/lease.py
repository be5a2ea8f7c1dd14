"""Guards."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Guard = Callable[[], AbstractContextManager[None]]
"""Entered around each act that others can see; raises LeaseLost when it must not happen."""


def unguarded() -> AbstractContextManager[None]:
    """For what nobody else can write to: tests, offline tools."""
    return nullcontext()
