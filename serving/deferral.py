"""Which weights answer a request: the version's own, or the origin's, to which it defers.

The prompt is run under both, as two scores through the same queue, rows and passes as everything;
what they leave in the cache is where the answer then begins, so an answer costs one more pass over
its prompt, and its first token waits for both. The rule is `riverrun/deferral.py`'s.

The choice holds for the whole answer, which names the version either way. Called by
`serving/services/generation.py`.
"""

from collections.abc import Callable

from riverrun.beginnings import num_shared
from riverrun.deferral import defers
from riverrun.tokenizer import Tokenizer
from serving.engine import Engine
from serving.run_sequence import run_batch
from serving.sequence import Sequence, Sink, TokenScore
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
    origin = engine.slots.pin_origin(pin)
    kept: Pin | None = None
    try:
        first = max(1, num_shared(tokens, tokenizer.common_beginning))
        left = True
        if len(tokens) > first:
            # One after the other: a request never takes more than one place of the queue.
            own = await _logprobs(engine, tokens, first, pin, client)
            theirs = await _logprobs(engine, tokens, first, origin, client)
            left = is_left(own, theirs, pin.manifest.deferral.margin)
        kept = origin if left else pin
    finally:
        for one in (pin, origin):
            if one is not kept:
                one.release()
    engine.tally.metrics.answered_by.labels("origin" if kept.is_deferred else "learned").inc()
    return kept


def is_left(own: list[TokenScore], theirs: list[TokenScore], margin: float) -> bool:
    """By the scores of the same tokens under the version and under its origin."""
    return defers(gains(own, theirs), margin)


def gains(own: list[TokenScore], theirs: list[TokenScore]) -> list[float]:
    """Of each token, in nats."""
    return [a.logprob - b.logprob for a, b in zip(own, theirs, strict=True)]


def scoring(
    tokens: list[int], first_target: int, client: str, *, is_weighing: bool = False
) -> Callable[[Sink], Sequence]:
    """Makes a score of `tokens`, from `first_target` on, for `run_batch`."""
    return lambda sink: Sequence(
        list(tokens),
        sink,
        task="score",
        first_target=first_target,
        client=client,
        is_weighing=is_weighing,
    )


async def _logprobs(
    engine: Engine, tokens: list[int], first: int, pin: Pin, client: str
) -> list[TokenScore]:
    make = scoring(tokens, first, client, is_weighing=True)
    [delta], _ = await run_batch(engine, [make], pin)
    return list(delta.scores or ())
