"""A candidate's numbers: what is measured of the weights that would be served.

Held-out loss is a ratio to the reference's on the same texts, so neither the kind of text nor a
change of the panel moves it. Weights that are not finite are counted first: nothing else is then
worth measuring.

Knows nothing of rules. Called by `gate.py`; what stands in for held-out text is in `newest.py`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from learner.content import Content, told
from learner.gate.panel import Sheet
from learner.gate.reference import Reference
from learner.watch.surprise import Surprise, wearing
from riverrun.model.decoder import Decoder

WORST = 1e6
"""A ratio or loss that is not finite; JSON knows no infinity."""


class Losses(NamedTuple):
    """Of the candidate: numbers for the rules, and nats by text for the next reference."""

    numbers: dict[str, float]
    nats: dict[Content, float]


@torch.no_grad()
def broken_weights(weights: Mapping[str, Tensor]) -> int:
    """How many are not finite."""
    # A sum is not finite when one number is not; that it may overflow by itself is looked into.
    totals = torch.stack([w.detach().sum(dtype=torch.float32) for w in weights.values()])
    if bool(totals.isfinite().all()):
        return 0
    return sum(int((~w.isfinite()).sum()) for w in weights.values())


def held_out_losses(
    model: Decoder,
    weights: Mapping[str, Tensor],
    sheets: Sequence[Sheet],
    surprise: Surprise,
    reference: Reference,
    least_texts: int,
) -> Losses:
    """weights: the candidate's. Ratios only where at least so many texts are evidence."""
    texts = [sheet.content for sheet in sheets]
    with wearing(model, weights):
        own = surprise.nats(model, texts)
    num_bytes = sum(len(told(content).encode()) for content in texts)
    numbers = {
        "panel_texts": float(len(texts)),
        "held_out_bits_per_byte": _finite(sum(own) / math.log(2) / num_bytes),
    }
    if reference.is_there and len(texts) >= least_texts:
        best = reference.nats(model, surprise, texts)
        pairs = list(zip(sheets, own, best, strict=True))
        numbers["held_out_ratio"] = _mean_ratio(pairs)
        for name, is_newest in (("fresh_ratio", True), ("old_ratio", False)):
            some = [pair for pair in pairs if pair[0].is_newest == is_newest]
            if len(some) >= least_texts:
                numbers[name] = _mean_ratio(some)
        ratios = [
            _ratio(some) for some in _by_source(pairs).values() if len(some) >= least_texts / 2
        ]
        numbers["worst_ratio"] = max([*ratios, numbers["held_out_ratio"]])
    return Losses(numbers, dict(zip(texts, own, strict=True)))


Pair = tuple[Sheet, float, float]
"""A text, its nats under the candidate, and under the reference."""


def _by_source(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair[0].source, []).append(pair)
    return found


def _mean_ratio(pairs: Sequence[Pair]) -> float:
    """Geometric over the sources, each as much as it has texts: a text that costs many nats (noise
    does) weighs no more than another."""
    groups = _by_source(pairs).values()
    logarithms = sum(len(some) * math.log(max(_ratio(some), 1e-6)) for some in groups)
    return _finite(math.exp(logarithms / len(pairs)))


def _ratio(pairs: Sequence[Pair]) -> float:
    return ratio_of(sum(own for _, own, _ in pairs), sum(theirs for _, _, theirs in pairs))


def ratio_of(own: float, theirs: float) -> float:
    """Of nats; 1 where nothing was to be lost."""
    return _finite(own / theirs) if theirs > 0 else 1.0


def _finite(value: float) -> float:
    return value if math.isfinite(value) else WORST
