"""Sequences through the engine, from the event loop: one as it comes, or a batch to its end.

Whoever stops reading (a cancelled call, a deadline, a client that went) takes his sequence out of
the engine. Knows nothing of gRPC. Called by the services, and by any other front.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from riverrun.errors import Overloaded, RiverrunError
from riverrun.store import Manifest
from serving.engine import Engine
from serving.mailbox import Mailbox
from serving.sequence import Delta, End, Sequence, Sink
from serving.slots import Pin

MAX_BATCH_ROWS = 8
"""Of one batch in the engine at once: the rest of it waits here and takes no place in the queue."""

ATTEMPTS = 5
RETRY_AFTER_S = 1.0


async def deltas_of(
    engine: Engine,
    sequence: Sequence,
    mailbox: Mailbox,
    on_given_up: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Delta, None]:
    """Submit the sequence, whose sink is the mailbox; its deltas, up to the one with an end.

    on_given_up: called when nobody reads it; its row is free then.

    Raises:
        Overloaded, NotServing: it is not taken.
        RiverrunError: the engine could not go on with it.
    """

    def give_up() -> None:
        engine.cancel(sequence)
        on_given_up()

    mailbox.on_given_up = give_up
    try:
        engine.submit(sequence)
    except RiverrunError:
        sequence.release()
        raise
    ended = False
    try:
        while not ended:
            delta = await mailbox.take()
            ended = delta.end is not None
            yield delta
    finally:
        if not ended:
            engine.cancel(sequence)


async def run_batch(
    engine: Engine, makers: list[Callable[[Sink], Sequence]], pin: Pin | None = None
) -> tuple[list[Delta], Manifest]:
    """The last delta of each sequence, all from one version: the pinned one, if one is given.

    Else a swap in the middle leaves some on the older version: those run again, on the newer one.

    Raises:
        Overloaded: not taken, or versions changed faster than the batch could run.
    """
    done: dict[int, Delta] = {}
    limit = asyncio.Semaphore(min(MAX_BATCH_ROWS, engine.cache.max_rows))

    async def run(i: int) -> None:
        async with limit:
            mailbox = Mailbox()
            sequence = makers[i](mailbox.put)
            sequence.pin = None if pin is None else pin.again()
            async with aclosing(deltas_of(engine, sequence, mailbox)) as deltas:
                async for delta in deltas:
                    done[i] = delta

    missing = list(range(len(makers)))
    for _ in range(ATTEMPTS):
        try:
            async with asyncio.TaskGroup() as group:
                for i in missing:
                    group.create_task(run(i))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        # The one that started last has seen the newest version.
        newest = _end(done[missing[-1]]).manifest
        missing = [i for i in done if _end(done[i]).manifest.version != newest.version]
        if not missing:
            return [done[i] for i in range(len(makers))], newest
    raise Overloaded("versions change faster than this batch runs; send fewer texts", RETRY_AFTER_S)


def _end(delta: Delta) -> End:
    assert delta.end is not None
    return delta.end
