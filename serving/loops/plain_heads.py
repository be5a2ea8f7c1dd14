"""Attention's inner loops for heads of any width: rotary, queries with keys, values by weights.

Called by `serving/loops/attention.py` for what does not fill lanes (`serving/loops/lane_heads.py`).

F heads of a token (queries, keys, values), E head width, P pairs of a head (E / 2), C positions,
G queries a key/value head, S columns seen.
"""

from serving.loops.arithmetic import ZERO, Array, exact, summing


@exact
def turn(heads_FE: Array, num_heads: int, turns_CE: Array, position: int) -> None:
    """Rotary: each pair, which lies side by side, by the angle of the token's position."""
    turns_P2 = turns_CE[position].reshape(-1, 2)
    for f in range(num_heads):
        head_P2 = heads_FE[f].reshape(-1, 2)
        for p in range(turns_P2.shape[0]):
            a, b = head_P2[p, 0], head_P2[p, 1]
            cos, sin = turns_P2[p, 0], turns_P2[p, 1]
            head_P2[p, 0] = a * cos - b * sin
            head_P2[p, 1] = a * sin + b * cos


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
