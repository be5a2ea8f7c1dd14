"""Arithmetic for the loops, in forms that LLVM turns into vectors.

Only where a sum's order may not matter is LLVM allowed to choose it, and then by lengths alone, so
that it is the same for each token. Not finite stays so: NaN is nowhere compared away.

Importing this imports numba. Called by `serving/loops/kernels.py` and `serving/loops/attention.py`.
"""

from typing import Any

import numba
import numpy as np

Array = Any
"""An array of numpy, fp32 unless its name says otherwise; an empty one is none."""

ONE, ZERO = np.float32(1.0), np.float32(0.0)
NO_SIGN, LAST_BIT = np.int32(0x7FFFFFFF), np.int32(31)

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
