"""Matrix products in the form in which weights are served: float32, bfloat16 or int8.

A product takes fp32 rows and gives fp32 rows, whatever its weights are.

An int8 product has weights of eight bits, with one scale an output, and activations of thirteen: a
row is divided by its own largest value and cut into whole steps and what is left of them, which are
two rows of seven bits of one product. Eight bits alone cost SmolLM2 3.6% of perplexity, for a few
activations are a hundred times larger than the rest. Seven, since CPUs without VNNI add products of
bytes in pairs, and pairs of eight bits by eight do not fit their sixteen. A row's result depends on
that row alone: torch's `quantized.linear_dynamic` takes its grid from the smallest and the largest
value of the whole batch, so each row is given four columns more, which hold 63.5, -63.5, 0, 0 and
meet zero weights. The grid is then of whole numbers whoever the neighbours are, the sums are exact
integers, and rows are equal bit by bit alone and in a batch.

Knows nothing of layers. Called by `serving/lean_model.py`.

N rows, I inputs, O outputs.
"""

import warnings
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

Precision = Literal["float32", "bfloat16", "int8"]

EXTRA = 4
"""Columns that fix the grid; four, so that rows stay a multiple of what one instruction takes."""
TINY = 1e-30
"""The largest value of a row of zeros, so that it is not divided by zero."""
EDGE = 63.5
"""Of the grid of 128 whole numbers that torch makes of a batch (`reduce_range`)."""
STEPS = 62.0
"""Whole steps from 0 to a row's largest value; the grid has 63."""
KEPT_BUFFERS = 64
"""Passes of at most so many rows keep their buffers."""


class Product(Protocol):
    """One matrix, with its bias if it has one."""

    bias_O: Tensor | None

    def load(self, weight_OI: Tensor, bias_O: Tensor | None = None) -> None:
        """Take these weights, fp32."""

    def of(self, x_NI: Tensor) -> Tensor:
        """The product, (N, O), the caller's to write over."""

    def of_scaled(self, x_NI: Tensor, scale_N1: Tensor) -> Tensor:
        """The product of `x_NI * scale_N1`; `scale_N1` is lost."""

    def add_to(self, sum_NO: Tensor, x_NI: Tensor) -> None:
        """Add the product to `sum_NO` in place."""

    def multiply(self, operand: Tensor, out_NO: Tensor) -> Tensor:
        """The product alone, without scales or bias, for loops that go on from there: in `out_NO`,
        or in a tensor of its own. An int8 one takes rows that are cut and gives whole steps and
        then rests, (2N, O)."""


class FloatProduct:
    """Weights of one floating type; loading writes over them."""

    def __init__(
        self, num_inputs: int, num_outputs: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.weight_OI = torch.empty(num_outputs, num_inputs, dtype=dtype, device=device)
        self._weight_IO = self.weight_OI.t()
        self.bias_O: Tensor | None = None
        self._is_cast = dtype != torch.float32

    def load(self, weight_OI: Tensor, bias_O: Tensor | None = None) -> None:
        self.weight_OI.copy_(weight_OI)
        if bias_O is None:
            return
        if self.bias_O is None:
            self.bias_O = bias_O.to(self.weight_OI.device, torch.float32, copy=True)
        else:
            self.bias_O.copy_(bias_O)

    def of(self, x_NI: Tensor) -> Tensor:
        y_NO = self._matrix(x_NI)
        return y_NO if self.bias_O is None else y_NO.add_(self.bias_O)

    def of_scaled(self, x_NI: Tensor, scale_N1: Tensor) -> Tensor:
        y_NO = self._matrix(x_NI)
        if self.bias_O is None:
            return y_NO.mul_(scale_N1)
        return torch.addcmul(self.bias_O, y_NO, scale_N1)

    def add_to(self, sum_NO: Tensor, x_NI: Tensor) -> None:
        sum_NO.add_(self._matrix(x_NI))
        if self.bias_O is not None:
            sum_NO.add_(self.bias_O)

    def multiply(self, operand: Tensor, out_NO: Tensor) -> Tensor:
        if self._is_cast:
            return out_NO.copy_(F.linear(operand.to(self.weight_OI.dtype), self.weight_OI))
        return torch.mm(operand, self._weight_IO, out=out_NO)

    def _matrix(self, x_NI: Tensor) -> Tensor:
        if self._is_cast:
            return F.linear(x_NI.to(self.weight_OI.dtype), self.weight_OI).float()
        return F.linear(x_NI, self.weight_OI)


def wide_rows(num_rows: int, width: int) -> Tensor:
    """Room for the steps and the rests of so many rows, and the columns that fix the grid."""
    wide = torch.zeros(2 * num_rows, width + EXTRA)
    wide[:, width] = EDGE
    wide[:, width + 1] = -EDGE
    return wide


class RowCutter:
    """Rows of one width, cut into whole steps and rests, with the columns that fix the grid."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._kept: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(self, x_NI: Tensor, balance_I: Tensor) -> tuple[Tensor, Tensor]:
        """The steps of all rows and then their rests, (2N, I + 4), good until the next call; and
        the size of each row's step, (N, 1)."""
        num_rows = x_NI.shape[0]
        buffers = self._kept.get(num_rows)
        if buffers is None:
            wide = wide_rows(num_rows, self.width)
            buffers = wide, wide[:num_rows, : self.width], wide[num_rows:, : self.width]
            if num_rows <= KEPT_BUFFERS:
                self._kept[num_rows] = buffers
        wide, steps_NI, rests_NI = buffers
        torch.mul(x_NI, balance_I, out=rests_NI)
        step_N1 = rests_NI.abs().amax(-1, True).mul_(1 / STEPS).clamp_min_(TINY)
        rests_NI.div_(step_N1)
        torch.round(rests_NI, out=steps_NI)
        # At most half a step is left: it is cut as finely as the row was.
        rests_NI.sub_(steps_NI).mul_(2 * STEPS)
        return wide, step_N1


class Int8Product:
    """Weights of eight bits, activations of thirteen.

    Scales as in Yao et al., ZeroQuant, 2022: one an output and one a token. Before, each input's
    column of weights is divided by the square root of its largest, and the input multiplied, which
    evens the columns out (Nagel et al., Data-Free Quantization, 2019).
    """

    def __init__(self, num_outputs: int, cutter: RowCutter) -> None:
        self._num_outputs = num_outputs
        self._cutter = cutter
        self._packed: Any = None
        self._multiply: Any = torch.ops.quantized.linear_dynamic.default
        self.balance_I = torch.empty(cutter.width)
        self.bias_O: Tensor | None = None

    def load(self, weight_OI: Tensor, bias_O: Tensor | None = None) -> None:
        weight_OI = weight_OI.float()
        largest_I = weight_OI.abs().amax(0)
        even_I = (largest_I / largest_I.mean().clamp_min(TINY)).clamp_min_(1e-4).sqrt_()
        self.balance_I.copy_(even_I)
        weight_OI = weight_OI / self.balance_I
        scale_O = (weight_OI.abs().amax(1) / 127).clamp_min_(TINY)
        whole_OI = weight_OI.div_(scale_O[:, None]).round_().to(torch.int8)
        wide_OI = F.pad(whole_OI, (0, EXTRA))
        with warnings.catch_warnings():
            # torch warns that quantized tensors go one day; `is_int8_usable` asks for them first.
            warnings.simplefilter("ignore")
            quantized = torch._make_per_channel_quantized_tensor(
                wide_OI, scale_O.double(), torch.zeros(self._num_outputs, dtype=torch.long), 0
            )
            self._packed = torch.ops.quantized.linear_prepack(quantized, None)
        if bias_O is None:
            return
        if self.bias_O is None:
            self.bias_O = bias_O.to(torch.float32, copy=True)
        else:
            self.bias_O.copy_(bias_O)

    def multiply(self, operand: Tensor, out_NO: Tensor) -> Tensor:  # noqa: ARG002
        both: Tensor = self._multiply(operand, self._packed, reduce_range=True)
        return both

    def of(self, x_NI: Tensor) -> Tensor:
        y_NO, step_N1 = self._in_steps(x_NI)
        return self._scaled(y_NO, step_N1)

    def of_scaled(self, x_NI: Tensor, scale_N1: Tensor) -> Tensor:
        y_NO, step_N1 = self._in_steps(x_NI)
        return self._scaled(y_NO, step_N1.mul_(scale_N1))

    def add_to(self, sum_NO: Tensor, x_NI: Tensor) -> None:
        sum_NO.addcmul_(*self._in_steps(x_NI))
        if self.bias_O is not None:
            sum_NO.add_(self.bias_O)

    def _in_steps(self, x_NI: Tensor) -> tuple[Tensor, Tensor]:
        """The product in steps, and the size of each row's step."""
        num_rows = x_NI.shape[0]
        wide, step_N1 = self._cutter(x_NI, self.balance_I)
        both = self.multiply(wide, wide)
        return both[:num_rows].add_(both[num_rows:], alpha=1 / (2 * STEPS)), step_N1

    def _scaled(self, y_NO: Tensor, scale_N1: Tensor) -> Tensor:
        if self.bias_O is None:
            return y_NO.mul_(scale_N1)
        return torch.addcmul(self.bias_O, y_NO, scale_N1)


class Products:
    """Makes a model's products, all of one precision and on one device."""

    def __init__(self, precision: Precision, device: torch.device | str) -> None:
        self.precision = precision
        self.device = device
        self._cutters: dict[int, RowCutter] = {}

    def make(self, num_inputs: int, num_outputs: int) -> Product:
        if self.precision == "int8":
            cutter = self._cutters.setdefault(num_inputs, RowCutter(num_inputs))
            return Int8Product(num_outputs, cutter)
        dtype = torch.float32 if self.precision == "float32" else torch.bfloat16
        return FloatProduct(num_inputs, num_outputs, dtype, self.device)
