"""The two terms that a step can minimize, per position and without any weighting.

Logits are computed only where a loss is wanted: for 49,152 tokens they are the dearest matrix of a
small model.

B rows, T columns, D width, P positions (N predicted, then M anchored), K kept, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from learner.batch import Batch
from riverrun.model.decoder import Decoder

POSITIONS = 64
"""Logits are computed at a multiple of so many."""


def logits_at(model: Decoder, batch: Batch, *, anchored: bool) -> tuple[Tensor, Tensor]:
    """The logits at the predicted and, if `anchored`, at the anchored positions; one product."""
    hidden_BTD = model.hidden(
        batch.packed.tokens_BT, positions_BT=batch.packed.positions_BT, cache=batch.packed
    )
    sources_P = batch.sources_N
    if anchored:
        sources_P = torch.cat([sources_P, batch.anchor_sources_M])
    num_positions = len(sources_P)
    # The last ones are padding: products are compiled for each shape (`packing.py`).
    sources_P = F.pad(sources_P, (0, -num_positions % POSITIONS))
    hidden_PD = hidden_BTD.flatten(0, 1).index_select(0, sources_P)
    logits_PV = model.logits(hidden_PD)[:num_positions].float()
    num_predicted = len(batch.sources_N)
    return logits_PV[:num_predicted], logits_PV[num_predicted:]


def prediction_losses(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Nats by which each token surprised the model."""
    return F.cross_entropy(logits_NV, targets_N, reduction="none")


def divergences(logits_MV: Tensor, top_ids_MK: Tensor, top_logprobs_MK: Tensor) -> Tensor:
    """KL from the origin to the model at each position, nats.

    The origin's K most likely tokens are compared one by one, all others as one, so that no second
    forward pass is needed: a lower bound of the whole KL, tight where K tokens hold the mass.
    """
    logprobs_MK = logits_MV.gather(1, top_ids_MK) - logits_MV.logsumexp(1, keepdim=True)
    kept_MK = top_logprobs_MK.exp()
    rest_M = (1 - kept_MK.sum(1)).clamp_min(REST_FLOOR)
    rest_now_M = (1 - logprobs_MK.exp().sum(1)).clamp_min(REST_FLOOR)
    inside_M = (kept_MK * (top_logprobs_MK - logprobs_MK)).sum(1)
    return inside_M + rest_M * (rest_M.log() - rest_now_M.log())


REST_FLOOR = 1e-6
"""Probability of all other tokens at least: rounding may leave less than nothing."""
