"""The loops themselves: one function for each stretch between two products of a layer.

Each stretch begins with a product as its kernel gave it and ends with the next product's operand.
An int8 product comes in twice as many rows, whole steps and then rests (`serving/products.py`); a
floating one in as many as there are tokens. The arithmetic is that of `serving/lean_model.py` and
`serving/cache.py`, token by token: what a token gets is the same bits whoever its neighbours are.

Only where a sum's order may not matter is LLVM allowed to choose it, and then by lengths alone, so
that it is the same for each token. Not finite stays so: NaN is nowhere compared away.

Importing this imports numba. Called by `serving/loops/passes.py`.

N tokens, D hidden width, H key/value heads, G queries a key/value head, F = (G + 2) H heads of a
token, E head width, P pairs of a head (E / 2), I inputs or intermediate width, O outputs,
R rows of the pool, C cells a row, S columns seen.
"""

from typing import Any

import numba
import numpy as np

from serving.products import STEPS, TINY

Array = Any
"""An array of numpy, fp32 unless its name says otherwise; an empty one is none."""

ONE, ZERO = np.float32(1.0), np.float32(0.0)
REST = np.float32(1 / (2 * STEPS))
FULL_REST, PER_STEP, SMALLEST = np.float32(2 * STEPS), np.float32(1 / STEPS), np.float32(TINY)
NO_SIGN, INFINITE, LAST_BIT = np.int32(0x7FFFFFFF), np.int32(0x7F800000), np.int32(31)

LOG2_E, LEAST, MOST = np.float32(1.44269504), np.float32(-87.0), np.float32(88.0)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
ROUNDING = np.float32(12582912.0)
"""1.5 x 2^23: added, it leaves a number's whole part in the lowest bits."""
BIAS, EXPONENT = np.int32(127), np.int32(23)
C0, C1, C2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
C3, C4, C5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)

exact = numba.njit(nogil=True, cache=True, error_model="numpy")
summing = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})


@exact
def exponential(x: Any) -> Any:
    """e^x to about one part in 10^7, for loops to be vectorised over. Source: Cephes, expf."""
    x = LEAST if x < LEAST else x
    x = MOST if x > MOST else x
    rounded = np.float32(x * LOG2_E + ROUNDING)
    whole = rounded - ROUNDING
    r = x - whole * LN2_HIGH - whole * LN2_LOW
    series = ((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + C5
    power = np.int32((np.int32(rounded.view(np.int32)) + BIAS) << EXPONENT).view(np.float32)
    return (series * r * r + r + ONE) * power


@exact
def bits_of(x: Any) -> Any:
    return np.int32(np.float32(x).view(np.int32))


@exact
def place_of(x: Any) -> Any:
    """A whole number that orders fp32 as they are ordered, so that the largest is found without a
    comparison that NaN would make undefined, and by vectors."""
    bits = bits_of(x)
    return np.int32(bits ^ ((bits >> LAST_BIT) & NO_SIGN))


@exact
def at_place(place: Any) -> Any:
    return np.int32(place ^ ((place >> LAST_BIT) & NO_SIGN)).view(np.float32)


@summing
def dot(a_I: Array, b_I: Array) -> Any:
    total = ZERO
    for i in range(a_I.shape[0]):
        total += a_I[i] * b_I[i]
    return total


@summing
def sum_of(x_I: Array, count: int) -> Any:
    total = ZERO
    for i in range(count):
        total += x_I[i]
    return total


@exact
def inverse_rms(x_I: Array, eps: Any) -> Any:
    mean = np.float32(dot(x_I, x_I) / np.float32(x_I.shape[0]))
    return ONE / np.sqrt(np.float32(mean + eps))


@exact
def cut(x_I: Array, balance_I: Array, steps_I: Array, rests_I: Array) -> Any:
    """As `serving.products.RowCutter`; the size of a step."""
    largest = np.int32(0)
    for i in range(balance_I.shape[0]):
        rests_I[i] = x_I[i] * balance_I[i]
        # As whole numbers, fp32 without their signs stand in the same order, and NaN above all.
        bits = np.int32(bits_of(rests_I[i]) & NO_SIGN)
        largest = bits if bits > largest else largest
    step = np.float32(np.int32(largest).view(np.float32) * PER_STEP)
    step = SMALLEST if step < SMALLEST else step
    for i in range(balance_I.shape[0]):
        value = rests_I[i] / step
        steps_I[i] = np.rint(value)
        rests_I[i] = (value - steps_I[i]) * FULL_REST
    return step


@exact
def cut_all(x_NI: Array, scale_N: Array, balance_I: Array, wide_XI: Array) -> None:
    """Make the rows an int8 product's operand; nothing to do for a floating one."""
    if balance_I.shape[0] == 0:
        return
    num_tokens = x_NI.shape[0]
    for n in range(num_tokens):
        scale_N[n] *= cut(x_NI[n], balance_I, wide_XI[n], wide_XI[num_tokens + n])


@exact
def settle(product_XO: Array, n: int, scale_N: Array, bias_O: Array, out_O: Array) -> None:
    """Token n's row of a product, in the numbers that it stands for."""
    num_tokens, scale = scale_N.shape[0], scale_N[n]
    if product_XO.shape[0] > num_tokens:
        steps_O, rests_O = product_XO[n], product_XO[num_tokens + n]
        for o in range(out_O.shape[0]):
            out_O[o] = (steps_O[o] + rests_O[o] * REST) * scale
    else:
        product_O = product_XO[n]
        for o in range(out_O.shape[0]):
            out_O[o] = product_O[o] * scale
    for o in range(bias_O.shape[0]):
        out_O[o] += bias_O[o]


@exact
def look_up(tokens_N: Array, embedding_VD: Array, x_ND: Array) -> None:
    for n in range(x_ND.shape[0]):
        token = tokens_N[n]
        for d in range(x_ND.shape[1]):
            x_ND[n, d] = embedding_VD[token, d]


@exact
def begin(x_ND: Array, scale_N: Array, eps: Any, balance_D: Array, wide_XD: Array) -> None:
    """The norm before a product: one number a token, which scales its product."""
    for n in range(x_ND.shape[0]):
        scale_N[n] = inverse_rms(x_ND[n], eps)
    cut_all(x_ND, scale_N, balance_D, wide_XD)


@exact
def add(
    product_XD: Array,
    scale_N: Array,
    bias_D: Array,
    x_ND: Array,
    row_D: Array,
    eps: Any,
    balance_D: Array,
    wide_XD: Array,
) -> None:
    """Add a product to the residual stream, and begin the next one."""
    for n in range(x_ND.shape[0]):
        settle(product_XD, n, scale_N, bias_D, row_D)
        x_D = x_ND[n]
        for d in range(x_D.shape[0]):
            x_D[d] += row_D[d]
    begin(x_ND, scale_N, eps, balance_D, wide_XD)


@exact
def end(x_ND: Array, scale_N: Array, norm_D: Array) -> None:
    """The last norm, with its weight; `scale_N` is from `begin`."""
    for n in range(x_ND.shape[0]):
        x_D, scale = x_ND[n], scale_N[n]
        for d in range(x_D.shape[0]):
            x_D[d] = x_D[d] * scale * norm_D[d]


@exact
def gate(
    product_XI: Array, scale_N: Array, row_I: Array, act_NI: Array, balance_I: Array, wide_XI: Array
) -> None:
    """silu(gate) * up; `row_I` has room for both, and `balance_I[:0]` is no bias."""
    for n in range(act_NI.shape[0]):
        settle(product_XI, n, scale_N, balance_I[:0], row_I)
        act_I = act_NI[n]
        gate_I, up_I = row_I[: act_I.shape[0]], row_I[act_I.shape[0] :]
        for i in range(act_I.shape[0]):
            act_I[i] = gate_I[i] / (ONE + exponential(-gate_I[i])) * up_I[i]
        scale_N[n] = ONE
    cut_all(act_NI, scale_N, balance_I, wide_XI)


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


@exact
def choose(logits_NV: Array, likeliest_N: Array, finite_N: Array) -> None:
    """Each row's likeliest token, the first of equals, and whether none is NaN or beyond."""
    for n in range(logits_NV.shape[0]):
        logits_V = logits_NV[n]
        largest, widest = place_of(logits_V[0]), np.int32(0)
        for v in range(logits_V.shape[0]):
            place, bits = place_of(logits_V[v]), np.int32(bits_of(logits_V[v]) & NO_SIGN)
            largest = place if place > largest else largest
            widest = bits if bits > widest else widest
        finite_N[n] = widest < INFINITE
        most = at_place(largest)
        for v in range(logits_V.shape[0]):
            if logits_V[v] == most:
                likeliest_N[n] = v
                break
