"""As `serving/loops/plain_heads.py`, for heads whose width is whole lanes: nearly all models'.

F heads of a token (queries, keys, values), E head width, C positions, G queries a key/value head,
S columns seen.
"""

from serving.loops.arithmetic import Array, exact
from serving.loops.lanes import (
    LANES,
    load,
    plus,
    plus_product,
    spread,
    store,
    store_sums,
    turned,
    zeros,
)


@exact
def turn(heads_FE: Array, num_heads: int, turns_CE: Array, position: int) -> None:
    """Rotary: each pair, which lies side by side, by the angle of the token's position."""
    for start in range(0, heads_FE.shape[1], LANES):
        turns = load(turns_CE, position, start)
        for f in range(num_heads):
            store(heads_FE, f, start, turned(load(heads_FE, f, start), turns))


@exact
def score(heads_FE: Array, first: int, keys_SE: Array, num_seen: int, scores_GS: Array) -> None:
    """Queries from head `first` on with the keys, four at a time; some scores too many."""
    for s in range(0, num_seen, 4):
        for g in range(scores_GS.shape[0]):
            a = b = c = d = zeros()
            for start in range(0, heads_FE.shape[1], LANES):
                query = load(heads_FE, first + g, start)
                a = plus_product(a, query, load(keys_SE, s, start))
                b = plus_product(b, query, load(keys_SE, s + 1, start))
                c = plus_product(c, query, load(keys_SE, s + 2, start))
                d = plus_product(d, query, load(keys_SE, s + 3, start))
            store_sums(scores_GS, g, s, a, b, c, d)


@exact
def mix(weights_GS: Array, values_SE: Array, num_seen: int, seen_FE: Array, first: int) -> None:
    """What the queries from head `first` on see: the values by their weights.

    Two queries share what is loaded (a quarter of the time less); the last of an odd number is
    done twice.
    """
    for g in range(0, weights_GS.shape[0], 2):
        h = g + 1 if g + 1 < weights_GS.shape[0] else g
        for start in range(0, values_SE.shape[1], LANES):
            a = b = c = d = zeros()
            for s in range(0, num_seen, 2):
                values = load(values_SE, s, start)
                a = plus_product(a, spread(weights_GS, g, s), values)
                b = plus_product(b, spread(weights_GS, h, s), values)
                values = load(values_SE, s + 1, start)
                c = plus_product(c, spread(weights_GS, g, s + 1), values)
                d = plus_product(d, spread(weights_GS, h, s + 1), values)
            store(seen_FE, first + g, start, plus(a, c))
            store(seen_FE, first + h, start, plus(b, d))
