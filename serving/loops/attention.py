"""From a layer's first product to what each token sees: norms of heads, rotary, the writing of keys
and values, and attention over the token's own row of the cache.

Called by `serving/loops/passes.py`.

N tokens, F heads of a token (queries, keys, values), E head width, G queries a key/value head,
C cells a row or positions, S columns seen, I inputs of the product that follows, A rows of the pool
times key/value heads.
"""

from typing import Any

import numpy as np

from serving.loops import lane_heads, plain_heads
from serving.loops.arithmetic import (
    ONE,
    ZERO,
    Array,
    at_place,
    exact,
    exponential,
    inverse_rms,
    place_of,
    sum_of,
)
from serving.loops.kernels import cut_all, settle
from serving.loops.lanes import LANES


@exact
def norm_head(head_E: Array, norm_E: Array, eps: Any) -> None:
    scale = inverse_rms(head_E, eps)
    for e in range(head_E.shape[0]):
        head_E[e] = head_E[e] * scale * norm_E[e]


@exact
def softmax(scores_S: Array, num_seen: int, scale: Any) -> None:
    """Scores to weights; zeros behind, to the next multiple of four."""
    largest = place_of(scores_S[0])
    for s in range(num_seen):
        place = place_of(scores_S[s])
        largest = place if place > largest else largest
    most = at_place(largest)
    for s in range(num_seen):
        scores_S[s] = exponential((scores_S[s] - most) * scale)
    total = sum_of(scores_S, num_seen)
    for s in range(num_seen):
        scores_S[s] /= total
    for s in range(num_seen, -(-num_seen // 4) * 4):
        scores_S[s] = ZERO


@exact
def attend(
    product_XI: Array,
    scale_N: Array,
    bias_I: Array,
    heads_FE: Array,
    query_norm_E: Array,
    key_norm_E: Array,
    eps: Any,
    turns_CE: Array,
    rows_N: Array,
    positions_N: Array,
    keys_ACE: Array,
    values_ACE: Array,
    scores_GS: Array,
    seen_NFE: Array,
    balance_I: Array,
    wide_XI: Array,
) -> None:
    """From queries, keys and values to what each token sees of its own row up to itself.

    Tokens of one row stand in order: each one's keys are written before the next one looks. A is
    rows of the pool times H; C is a multiple of four, and no cell holds what is not finite.
    """
    width, group = heads_FE.shape[1], scores_GS.shape[0]
    num_kv = heads_FE.shape[0] // (group + 2)
    num_queries = group * num_kv
    scale = np.float32(ONE / np.sqrt(np.float32(width)))
    heads_I, is_in_lanes = heads_FE.reshape(-1), width % LANES == 0
    for n in range(seen_NFE.shape[0]):
        settle(product_XI, n, scale_N, bias_I, heads_I)
        position = positions_N[n]
        if query_norm_E.shape[0]:
            for f in range(num_queries + num_kv):
                norm_head(heads_FE[f], query_norm_E if f < num_queries else key_norm_E, eps)
        if is_in_lanes:
            lane_heads.turn(heads_FE, num_queries + num_kv, turns_CE, position)
        else:
            plain_heads.turn(heads_FE, num_queries + num_kv, turns_CE, position)
        for h in range(num_kv):
            keys_CE, values_CE = (
                keys_ACE[rows_N[n] * num_kv + h],
                values_ACE[rows_N[n] * num_kv + h],
            )
            for e in range(width):
                keys_CE[position, e] = heads_FE[num_queries + h, e]
                values_CE[position, e] = heads_FE[num_queries + num_kv + h, e]
            if is_in_lanes:
                lane_heads.score(heads_FE, h * group, keys_CE, position + 1, scores_GS)
            else:
                plain_heads.score(heads_FE, h * group, keys_CE, position + 1, scores_GS)
            for g in range(group):
                softmax(scores_GS[g], position + 1, scale)
            if is_in_lanes:
                lane_heads.mix(scores_GS, values_CE, position + 1, seen_NFE[n], h * group)
            else:
                plain_heads.mix(scores_GS, values_CE, position + 1, seen_NFE[n], h * group)
        scale_N[n] = ONE
    cut_all(seen_NFE.reshape(-1, num_queries * width), scale_N, balance_I, wide_XI)
