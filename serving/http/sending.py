"""What HTTP sends is read in time, or its connection is cut.

A client that does not read would hold the handler, its text and its socket for as long as he likes.
Called by `serving/http/answers.py` for each event and by `serving/http/server.py` for the rest.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from serving.mailbox import unread_for


@asynccontextmanager
async def sending(request: web.Request, timeout_s: float) -> AsyncIterator[None]:
    """Around a write: the client makes room for it within `timeout_s`, or is cut off.

    Raises:
        SlowReader: cut off. Nothing more can be sent to him.
    """
    transport = request.transport
    if transport is not None:
        # A flush ends when the kernel has all: what lay in our buffer would lie there for ever.
        transport.set_write_buffer_limits(0)
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        if transport is not None:
            # Not `close`, which waits until all is read.
            transport.abort()
        raise unread_for(timeout_s) from error
