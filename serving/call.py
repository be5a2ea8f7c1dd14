"""The call that is being answered: its request id, who asks, and what came of it so far.

Set by the front that took the call (`serving/interceptor.py`, `serving/http/`), filled by whoever
answers it, read by whoever logs. A context variable: every call runs in an asyncio task of its own.
"""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Call:
    """One call.

    by: the name of the caller's token; empty where there are none.
    peer: his connection, as gRPC writes it: `ipv4:127.0.0.1:50312`.
    address: where he is, of a front whose callers open a connection for each call; else empty.
    deadline: until when he waits, monotonic seconds; None without one.
    version: what answers, once it is known; deferred: whether by its origin. The numbers are those
    of a whole answer.
    """

    request_id: str
    by: str = ""
    peer: str = ""
    address: str = ""
    deadline: float | None = None
    version: str | None = None
    deferred: bool = False
    num_prompt_tokens: int = 0
    num_tokens: int = 0

    @property
    def client(self) -> str:
        """Between whom rows are shared: names of tokens, else addresses, else connections."""
        return self.by or self.address or self.peer


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def new_request_id() -> str:
    """An id for a request that brought none."""
    return uuid.uuid4().hex


def current_call() -> Call:
    """The call that this task answers; one without a caller where no front set it."""
    return _CALL.get() or Call(new_request_id())


@contextlib.contextmanager
def answering(call: Call) -> Iterator[None]:
    """`call` is the current one for the length of the block."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)


class RequestIds(logging.Filter):
    """Gives what is logged while a call is answered that call's id."""

    def filter(self, record: logging.LogRecord) -> bool:
        call = _CALL.get()
        if call is not None and not hasattr(record, "request_id"):
            record.request_id = call.request_id
        return True
