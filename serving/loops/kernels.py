"""The loops over rows: one function for each stretch between two products of a layer, but the one
with attention in it (`serving/loops/attention.py`), and the choice of a token.

Each stretch begins with a product as its kernel gave it and ends with the next product's operand.
An int8 product comes in twice as many rows, whole steps and then rests (`serving/products.py`); a
floating one in as many as there are tokens. The arithmetic is that of `serving/lean_model.py`,
token by token: what a token gets is the same bits whoever its neighbours are.

Called by `serving/loops/passes.py`.

N tokens, D hidden width, I inputs or intermediate width, O outputs, V vocabulary, X rows of an
operand or a product: N, or 2N for int8.
"""

from typing import Any

import numpy as np

from serving.loops.arithmetic import (
    NO_SIGN,
    ONE,
    Array,
    at_place,
    bits_of,
    exact,
    exponential,
    inverse_rms,
    place_of,
)
from serving.products import STEPS, TINY

REST = np.float32(1 / (2 * STEPS))
FULL_REST, PER_STEP, SMALLEST = np.float32(2 * STEPS), np.float32(1 / STEPS), np.float32(TINY)
INFINITE = np.int32(0x7F800000)


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
