"""Which weights answer a request: the version's own, or the origin's, to which it defers.

The prompt is run under both, as two scores through the same queue, rows and passes as everything;
what they leave in the cache is where the answer then begins, so an answer costs one more pass over
its prompt, and its first token waits for both. The rule is `riverrun/deferral.py`'s.

The choice holds for the whole answer, which names the version either way. Called by
`serving/services/generation.py`.
"""

from contextlib import aclosing

from riverrun.beginnings import num_shared
from riverrun.deferral import defers
from riverrun.tokenizer import Tokenizer
from serving.engine import Engine
from serving.mailbox import Mailbox
from serving.run_sequence import deltas_of
from serving.sequence import Delta, Sequence, TokenScore
from serving.slots import Pin


def live_that_defers(engine: Engine) -> Pin | None:
    """The live version, pinned, if it defers."""
    return engine.slots.pin_live_if(lambda manifest: manifest.deferral is not None)


async def weights_for(
    engine: Engine, tokenizer: Tokenizer, tokens: list[int], pin: Pin | None, client: str
) -> Pin | None:
    """The weights that answer the prompt `tokens`, pinned; None where any that are live will do.

    What all conversations begin with is no evidence. pin: of the version that was asked for, if one
    was; it is given back, or released.

    Raises:
        Overloaded, NotServing: the prompt is not taken.
    """
    pin = pin or live_that_defers(engine)
    if pin is None or pin.manifest.deferral is None:
        return pin
    try:
        first = max(1, num_shared(tokens, tokenizer.common_beginning))
        if await _is_left(engine, tokens, first, pin, client):
            origin = engine.slots.pin_origin(pin)
            pin.release()
            pin = origin
    except BaseException:
        pin.release()
        raise
    engine.tally.metrics.answered_by.labels(
        "learned" if pin.slot.origin is None else "origin"
    ).inc()
    return pin


async def _is_left(engine: Engine, tokens: list[int], first: int, pin: Pin, client: str) -> bool:
    assert pin.manifest.deferral is not None
    if len(tokens) <= first:
        return True

    # One after the other: a request never takes more than one place of the queue.
    own = await _logprobs(engine, tokens, first, pin.again(), client)
    theirs = await _logprobs(engine, tokens, first, engine.slots.pin_origin(pin), client)
    return is_left(own, theirs, pin.manifest.deferral.margin)


def is_left(own: list[TokenScore], theirs: list[TokenScore], margin: float) -> bool:
    """By the scores of the same tokens under the version and under its origin."""
    return defers(gains(own, theirs), margin)


def gains(own: list[TokenScore], theirs: list[TokenScore]) -> list[float]:
    """Of each token, in nats."""
    return [a.logprob - b.logprob for a, b in zip(own, theirs, strict=True)]


async def _logprobs(
    engine: Engine, tokens: list[int], first: int, pin: Pin, client: str
) -> list[TokenScore]:
    """pin: is released at the end, whatever that is."""
    mailbox = Mailbox()
    sequence = Sequence(
        list(tokens),
        mailbox.put,
        task="score",
        first_target=first,
        client=client,
        is_weighing=True,
    )
    sequence.pin = pin
    last: Delta | None = None
    async with aclosing(deltas_of(engine, sequence, mailbox)) as deltas:
        async for delta in deltas:
            last = delta
    assert last is not None, "a score that ends has a last delta"
    return list(last.scores or ())
