"""From a layer's first product to what each token sees: norms of heads, rotary, the writing of keys
and values, and attention over the token's own row of the cache.

Called by `serving/loops/passes.py`.

N tokens, F heads of a token (queries, keys, values), E head width, P pairs of a head (E / 2),
G queries a key/value head, C cells a row, S columns seen, I inputs of the product that follows,
A rows of the pool times key/value heads.
"""

from typing import Any

import numpy as np

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
    summing,
)
from serving.loops.kernels import cut_all, settle


@exact
def turn(heads_FP2: Array, num_heads: int, turns_P2: Array) -> None:
    """Rotary: each pair, which lies side by side, by the angle of the token's position."""
    for f in range(num_heads):
        for p in range(turns_P2.shape[0]):
            a, b = heads_FP2[f, p, 0], heads_FP2[f, p, 1]
            cos, sin = turns_P2[p, 0], turns_P2[p, 1]
            heads_FP2[f, p, 0] = a * cos - b * sin
            heads_FP2[f, p, 1] = a * sin + b * cos


@exact
def norm_head(head_E: Array, norm_E: Array, eps: Any) -> None:
    scale = inverse_rms(head_E, eps)
    for e in range(head_E.shape[0]):
        head_E[e] = head_E[e] * scale * norm_E[e]


@summing
def score(heads_FE: Array, first: int, keys_SE: Array, num_seen: int, scores_GS: Array) -> None:
    """Queries from head `first` on with the keys, four at a time; some scores too many."""
    for s in range(0, num_seen, 4):
        for g in range(scores_GS.shape[0]):
            a = b = c = d = ZERO
            for e in range(heads_FE.shape[1]):
                query = heads_FE[first + g, e]
                a += query * keys_SE[s, e]
                b += query * keys_SE[s + 1, e]
                c += query * keys_SE[s + 2, e]
                d += query * keys_SE[s + 3, e]
            scores_GS[g, s], scores_GS[g, s + 1] = a, b
            scores_GS[g, s + 2], scores_GS[g, s + 3] = c, d


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


@summing
def mix(weights_GS: Array, values_SE: Array, num_seen: int, seen_FE: Array, first: int) -> None:
    """What the queries from head `first` on see: the values by their weights."""
    for g in range(weights_GS.shape[0]):
        for e in range(values_SE.shape[1]):
            seen_FE[first + g, e] = ZERO
        for s in range(0, num_seen, 4):
            a, b = weights_GS[g, s], weights_GS[g, s + 1]
            c, d = weights_GS[g, s + 2], weights_GS[g, s + 3]
            for e in range(values_SE.shape[1]):
                seen_FE[first + g, e] += (
                    a * values_SE[s, e]
                    + b * values_SE[s + 1, e]
                    + c * values_SE[s + 2, e]
                    + d * values_SE[s + 3, e]
                )


@exact
def attend(
    product_XI: Array,
    scale_N: Array,
    bias_I: Array,
    heads_FE: Array,
    query_norm_E: Array,
    key_norm_E: Array,
    eps: Any,
    turns_CP2: Array,
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
    heads_I, heads_FP2 = heads_FE.reshape(-1), heads_FE.reshape(-1, width // 2, 2)
    for n in range(seen_NFE.shape[0]):
        settle(product_XI, n, scale_N, bias_I, heads_I)
        position = positions_N[n]
        if query_norm_E.shape[0]:
            for f in range(num_queries + num_kv):
                norm_head(heads_FE[f], query_norm_E if f < num_queries else key_norm_E, eps)
        turn(heads_FP2, num_queries + num_kv, turns_CP2[position])
        for h in range(num_kv):
            keys_CE, values_CE = (
                keys_ACE[rows_N[n] * num_kv + h],
                values_ACE[rows_N[n] * num_kv + h],
            )
            for e in range(width):
                keys_CE[position, e] = heads_FE[num_queries + h, e]
                values_CE[position, e] = heads_FE[num_queries + num_kv + h, e]
            score(heads_FE, h * group, keys_CE, position + 1, scores_GS)
            for g in range(group):
                softmax(scores_GS[g], position + 1, scale)
            mix(scores_GS, values_CE, position + 1, seen_NFE[n], h * group)
        scale_N[n] = ONE
    cut_all(seen_NFE.reshape(-1, num_queries * width), scale_N, balance_I, wide_XI)
