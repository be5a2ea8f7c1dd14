"""A candidate's numbers: what is measured of the weights that would be served.

Held-out loss is a ratio to the reference's on the same texts, so neither the kind of text nor a
change of the panel moves it. Weights that are not finite are counted first: nothing else is then
worth measuring.

Knows nothing of rules. Called by `gate.py`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from learner.gate.panel import Sheet
from learner.gate.reference import Reference
from learner.watch.surprise import Surprise, wearing
from riverrun.model.decoder import Decoder

WORST = 1e6
"""A ratio or loss that is not finite; JSON knows no infinity."""


class HeldOutLosses(NamedTuple):
    """Of the candidate: numbers for the rules, and nats by text for the next reference."""

    numbers: dict[str, float]
    nats: dict[str, float]


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
) -> HeldOutLosses:
    """weights: the candidate's. Ratios only where at least so many texts are evidence."""
    texts = [sheet.text for sheet in sheets]
    with wearing(model, weights):
        own = surprise.nats(model, texts)
    num_bytes = sum(len(text.encode()) for text in texts)
    numbers = {
        "panel_texts": float(len(texts)),
        "held_out_bits_per_byte": _finite(sum(own) / math.log(2) / num_bytes),
    }
    if reference.is_there and len(texts) >= least_texts:
        best = reference.nats(model, surprise, texts)
        groups = {
            "held_out_ratio": [True] * len(sheets),
            "fresh_ratio": [sheet.is_newest for sheet in sheets],
            "old_ratio": [not sheet.is_newest for sheet in sheets],
        }
        for name, members in groups.items():
            if sum(members) >= min(least_texts, len(texts)) or name == "held_out_ratio":
                mine = sum(nats for nats, counts in zip(own, members, strict=True) if counts)
                theirs = sum(nats for nats, counts in zip(best, members, strict=True) if counts)
                numbers[name] = _finite(mine / theirs) if theirs > 0 else 1.0
    return HeldOutLosses(numbers, dict(zip(texts, own, strict=True)))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else WORST
