"""Texts scored by one version, or each by the origin to which the version leaves it.

With a context the context decides, as a prompt does; without one the text itself. Both sets of
weights then score everything, and each text takes the scores of one of them.

Called by `serving/services/generation.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from riverrun.deferral import defers_text
from riverrun.store import Manifest
from serving.deferral import gains, is_left, live_that_defers, scoring
from serving.engine import Engine
from serving.requests.texts import TextTokens
from serving.run_sequence import run_batch
from serving.sequence import Sequence as Run
from serving.sequence import Sink, TokenScore
from serving.slots import Pin


class Scored(NamedTuple):
    """One text's scores, from its `first_target` on."""

    scores: Sequence[TokenScore]
    is_deferred: bool = False


async def score_texts(
    engine: Engine,
    texts: Sequence[TextTokens],
    pin: Pin | None,
    client: str,
    *,
    never_defers: bool,
) -> tuple[list[Scored], Manifest]:
    """pin: of the version that was asked for, if one was; it is released.

    Raises:
        Overloaded, NotServing: not taken.
    """
    if pin is None and not never_defers:
        pin = live_that_defers(engine)
    deferral = None if pin is None or never_defers else pin.manifest.deferral
    try:
        if pin is None or deferral is None:
            deltas, manifest = await run_batch(engine, _runs(texts, client), pin)
            return [Scored(delta.scores or ()) for delta in deltas], manifest
        own, manifest = await run_batch(engine, _runs(texts, client, whole=True), pin)
        origin = engine.slots.pin_origin(pin)
        try:
            runs = _runs(texts, client, whole=True, is_weighing=True)
            theirs, _ = await run_batch(engine, runs, origin)
        finally:
            origin.release()
    finally:
        if pin is not None:
            pin.release()
    chosen = [
        _chosen(text, list(a.scores or ()), list(b.scores or ()), deferral.margin)
        for text, a, b in zip(texts, own, theirs, strict=True)
    ]
    return chosen, manifest


def _runs(
    texts: Sequence[TextTokens], client: str, *, whole: bool = False, is_weighing: bool = False
) -> list[Callable[[Sink], Run]]:
    """whole: scored from the second token on, whatever is context."""

    return [
        scoring(text.tokens, 1 if whole else text.first_target, client, is_weighing=is_weighing)
        for text in texts
    ]


def _chosen(
    text: TextTokens, own: list[TokenScore], theirs: list[TokenScore], margin: float
) -> Scored:
    first = text.first_target - 1
    # A context of one token has no score of its own.
    if first:
        left = is_left(own[:first], theirs[:first], margin)
    else:
        left = defers_text(gains(own, theirs), margin)
    return Scored((theirs if left else own)[first:], left)
