"""Sixteen fp32 numbers that stay in registers while a loop goes over something else.

LLVM makes vectors of innermost loops only, and cannot see that two arrays share no memory: a sum
over the cells of a row then goes through memory at each cell, and waits for it (values by their
weights, 16 rows of 48 cells of width 32: 11 us that way, 3 so). How many registers sixteen numbers
take is LLVM's to choose: one with AVX-512, four with NEON.

All arrays are fp32, of two dimensions, and one piece of memory.

Importing this imports numba. Called by `serving/loops/lane_heads.py`.
"""

import importlib
from typing import Any

from numba import extending, types

# Neither names a type.
ir: Any = importlib.import_module("llvmlite.ir")
cgutils: Any = importlib.import_module("numba.core.cgutils")
arrayobj: Any = importlib.import_module("numba.np.arrayobj")
intrinsic: Any = extending.intrinsic

LANES = 16
FUSED = ("contract",)
"""One rounding for a product and its sum, where the processor can."""

_FLOATS = ir.VectorType(ir.FloatType(), LANES)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__("Lanes")


@extending.register_model(_Lanes)
class _Vector(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)  # type: ignore[no-untyped-call]


_lanes: Any = _Lanes()


def _first(context: Any, builder: Any, kind: Any, array: Any, row: Any, start: Any) -> Any:
    """Where array[row, start] is, which numba itself would look for at each step: it allows places
    counted from the end."""
    found = arrayobj.make_array(kind)(context, builder, array)
    width = cgutils.unpack_tuple(builder, found.shape)[1]
    return builder.gep(found.data, [builder.add(builder.mul(row, width), start)])


def _place(context: Any, builder: Any, kind: Any, array: Any, row: Any, start: Any) -> Any:
    first = _first(context, builder, kind, array, row, start)
    return builder.bitcast(first, _FLOATS.as_pointer())


def _picked(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """Of two vectors' numbers, counted through."""
    kind = ir.VectorType(ir.IntType(32), len(places))
    return builder.shuffle_vector(a, b, ir.Constant(kind, places))


@intrinsic
def zeros(_: Any) -> Any:
    def make(*_: Any) -> Any:
        return ir.Constant(_FLOATS, [0.0] * LANES)

    return _lanes(), make


@intrinsic
def load(_: Any, array: Any, row: Any, start: Any) -> Any:
    """array[row, start : start + 16]."""

    def make(context: Any, builder: Any, _: Any, given: Any) -> Any:
        return builder.load(_place(context, builder, array, *given), align=4)

    return _lanes(array, row, start), make


@intrinsic
def store(_: Any, array: Any, row: Any, start: Any, x: Any) -> Any:
    def make(context: Any, builder: Any, _: Any, given: Any) -> Any:
        builder.store(given[3], _place(context, builder, array, *given[:3]), align=4)
        return context.get_dummy_value()

    return types.void(array, row, start, x), make


@intrinsic
def plus(_: Any, a: Any, b: Any) -> Any:
    def make(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        return builder.fadd(*given)

    return _lanes(a, b), make


@intrinsic
def plus_product(_: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a * b."""

    def make(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        total, a, b = given
        return builder.fadd(total, builder.fmul(a, b, flags=FUSED), flags=FUSED)

    return _lanes(total, a, b), make


@intrinsic
def spread(_: Any, array: Any, row: Any, start: Any) -> Any:
    """array[row, start] in all places."""

    def make(context: Any, builder: Any, _: Any, given: Any) -> Any:
        one = builder.load(_first(context, builder, array, *given))
        none = ir.Constant(_FLOATS, ir.Undefined)
        in_front = builder.insert_element(none, one, ir.Constant(ir.IntType(32), 0))
        return _picked(builder, in_front, none, [0] * LANES)

    return _lanes(array, row, start), make


@intrinsic
def store_sums(_: Any, array: Any, row: Any, start: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """array[row, start : start + 4] = the sums of a, of b, of c and of d."""

    def make(context: Any, builder: Any, _: Any, given: Any) -> Any:
        a, b, c, d = given[3:]
        low, high = list(range(8)), list(range(8, 16))
        low, high = low + [i + LANES for i in low], high + [i + LANES for i in high]
        ab, cd = (
            builder.fadd(_picked(builder, x, y, low), _picked(builder, x, y, high))
            for x, y in ((a, b), (c, d))
        )
        left, right = ([8 * x + first + i for x in range(4) for i in range(4)] for first in (0, 4))
        # Four numbers each are left of a, b, c and d, in this order.
        sums = builder.fadd(_picked(builder, ab, cd, left), _picked(builder, ab, cd, right))
        for step in (2, 1):
            sums = builder.fadd(sums, _picked(builder, sums, sums, [i ^ step for i in range(16)]))
        place = _place(context, builder, array, *given[:3])
        four = _picked(builder, sums, sums, [0, 4, 8, 12])
        builder.store(four, builder.bitcast(place, four.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, row, start, a, b, c, d), make


@intrinsic
def turned(_: Any, pairs: Any, turns: Any) -> Any:
    """Pairs side by side, each by its cosine and sine: a product of complex numbers."""

    def make(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        pairs, turns = given
        cos = _picked(builder, turns, turns, [i & ~1 for i in range(LANES)])
        sin = _picked(builder, turns, turns, [i | 1 for i in range(LANES)])
        swapped = _picked(builder, pairs, pairs, [i ^ 1 for i in range(LANES)])
        signs = ir.Constant(_FLOATS, [-1.0, 1.0] * (LANES // 2))
        across = builder.fmul(builder.fmul(swapped, signs), sin)
        return builder.fadd(builder.fmul(pairs, cos, flags=FUSED), across, flags=FUSED)

    return _lanes(pairs, turns), make
