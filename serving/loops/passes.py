"""A pass over tokens of any rows with few calls: four products a layer by torch, and compiled loops
for each stretch between them.

The same function as `LeanModel.hidden` over a window of the cache, in another order of sums. Where
the weights are int8, what a token gets is the same bits alone, in a batch and in the middle of a
prompt, as long as all passes come through here.

Knows nothing of sequences. Made by `serving/loops/ready.py`, called by `serving/runner.py`.

N tokens of a pass, D hidden width, F heads of a token (queries, keys, values), E head width,
G queries a key/value head, I inputs or intermediate width, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from serving.cache import SlottedCache
from serving.lean_model import LeanLayer, LeanModel
from serving.loops import attention, kernels
from serving.products import Int8Product, Product, wide_rows

KEPT_TOKENS = 64
"""Passes of at most so many tokens keep their memory."""

NONE = np.empty(0, np.float32)


def _array(tensor: Tensor | None) -> Any:
    """The same memory, as numpy sees it."""
    return NONE if tensor is None else tensor.numpy()


class _Weights:
    """One product's, and what the loops need of it: arrays of the tensors that a load writes over,
    so they hold for each version of the slot."""

    def __init__(self, product: Product) -> None:
        self.multiply = product.multiply
        self.bias_O = _array(product.bias_O)
        self.balance_I = _array(product.balance_I if isinstance(product, Int8Product) else None)


class _Layer:
    """A layer's products and norms, and its part of the cache."""

    def __init__(self, layer: LeanLayer, cache: SlottedCache, number: int) -> None:
        self.qkv, self.out = _Weights(layer.qkv), _Weights(layer.out)
        self.gate_up, self.down = _Weights(layer.gate_up), _Weights(layer.down)
        self.query_norm_E, self.key_norm_E = _array(layer.query_norm_E), _array(layer.key_norm_E)
        self.keys, self.values = _array(cache.keys_L[number]), _array(cache.values_L[number])


class _Model:
    """A model's layers, what each one's last loop begins for the next, and its ends."""

    def __init__(self, model: LeanModel, cache: SlottedCache) -> None:
        layers = [_Layer(layer, cache, number) for number, layer in enumerate(model.layers)]
        self.first_balance_D = layers[0].qkv.balance_I
        next_balances = [*(later.qkv.balance_I for later in layers[1:]), NONE]
        self.layers = list(zip(layers, next_balances, strict=True))
        self.turns_CE = torch.view_as_real(model.turns_CP).flatten(1).numpy()
        self.norm_D = model.norm_D.numpy()
        self.eps = np.float32(model.config.rms_norm_eps)


class _Operand:
    """What a product is given: the rows, and for int8 the wider ones into which they are cut."""

    def __init__(self, num_tokens: int, width: int, *, is_int8: bool) -> None:
        self.rows = torch.empty(num_tokens, width)
        self.given = wide_rows(num_tokens, width) if is_int8 else self.rows
        self.rows_NI = self.rows.numpy()
        self.wide_XI = self.given.numpy()


class _Result:
    """Where a product goes that can be told where, and room for a row of it."""

    def __init__(self, num_tokens: int, width: int) -> None:
        self.rows = torch.empty(num_tokens, width)
        self._array = self.rows.numpy()
        self.row_O = np.empty(width, np.float32)

    def of(self, weights: _Weights, operand: _Operand) -> Any:
        found = weights.multiply(operand.given, self.rows)
        return self._array if found is self.rows else found.numpy()


class _Memory:
    """Of passes of one number of tokens."""

    def __init__(self, model: LeanModel, num_tokens: int) -> None:
        config, is_int8 = model.config, model.precision == "int8"
        width, num_heads = config.head_dim, config.num_heads + 2 * config.num_key_value_heads
        self.x = _Operand(num_tokens, config.hidden_size, is_int8=is_int8)
        self.seen = _Operand(num_tokens, config.num_heads * width, is_int8=is_int8)
        self.act = _Operand(num_tokens, config.intermediate_size, is_int8=is_int8)
        self.seen_NFE = self.seen.rows_NI.reshape(num_tokens, config.num_heads, width)
        self.qkv = _Result(num_tokens, num_heads * width)
        self.added = _Result(num_tokens, config.hidden_size)
        self.gate_up = _Result(num_tokens, 2 * config.intermediate_size)
        self.heads_FE = self.qkv.row_O.reshape(num_heads, width)
        self.scale_N = np.empty(num_tokens, np.float32)
        self.tokens_N = np.empty(num_tokens, np.int64)
        self.rows_N = np.empty(num_tokens, np.int64)
        self.positions_N = np.empty(num_tokens, np.int64)


class LoopPasses:
    """Passes of any model over one cache."""

    def __init__(self, cache: SlottedCache) -> None:
        self._cache = cache
        self._models: dict[LeanModel, _Model] = {}
        self._memory: dict[tuple[str, int], _Memory] = {}
        self._scores_GS = np.empty((cache.group, cache.num_cells), np.float32)

    def hidden(
        self,
        model: LeanModel,
        tokens: Sequence[int],
        rows: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
    ) -> Tensor:
        """The last layer's normed output, (N, D), good until the next pass: of `counts[i]` new
        tokens of `rows[i]`, from position `starts[i]` on."""
        memory = self._memory_of(model, len(tokens))
        if len(tokens) == len(rows):
            memory.rows_N[:], memory.positions_N[:] = rows, starts
        else:
            memory.rows_N[:] = np.repeat(rows, counts)
            spans = [
                np.arange(start, start + count) for start, count in zip(starts, counts, strict=True)
            ]
            memory.positions_N[:] = np.concatenate(spans)
        if model.embedding_VD.dtype == torch.float32:
            memory.tokens_N[:] = tokens
            kernels.look_up(memory.tokens_N, model.embedding_VD.numpy(), memory.x.rows_NI)
        else:
            memory.x.rows.copy_(F.embedding(torch.tensor(tokens), model.embedding_VD))
        self._run(self._model_of(model), memory)
        return memory.x.rows

    def likeliest(self, logits_WV: Tensor) -> tuple[list[int], list[bool]]:
        """As `serving.sampling.likeliest`."""
        logits = logits_WV.numpy()
        likeliest_W, finite_W = np.empty(len(logits), np.int64), np.empty(len(logits), np.bool_)
        kernels.choose(logits, likeliest_W, finite_W)
        return likeliest_W.tolist(), finite_W.tolist()

    def _run(self, model: _Model, memory: _Memory) -> None:
        eps, scale_N = model.eps, memory.scale_N
        x, seen, act = memory.x, memory.seen, memory.act
        kernels.begin(x.rows_NI, scale_N, eps, model.first_balance_D, x.wide_XI)
        for layer, balance_D in model.layers:
            attention.attend(
                memory.qkv.of(layer.qkv, x),
                scale_N,
                layer.qkv.bias_O,
                memory.heads_FE,
                layer.query_norm_E,
                layer.key_norm_E,
                eps,
                model.turns_CE,
                memory.rows_N,
                memory.positions_N,
                layer.keys,
                layer.values,
                self._scores_GS,
                memory.seen_NFE,
                layer.out.balance_I,
                seen.wide_XI,
            )
            kernels.add(
                memory.added.of(layer.out, seen),
                scale_N,
                layer.out.bias_O,
                x.rows_NI,
                memory.added.row_O,
                eps,
                layer.gate_up.balance_I,
                x.wide_XI,
            )
            kernels.gate(
                memory.gate_up.of(layer.gate_up, x),
                scale_N,
                memory.gate_up.row_O,
                act.rows_NI,
                layer.down.balance_I,
                act.wide_XI,
            )
            kernels.add(
                memory.added.of(layer.down, act),
                scale_N,
                layer.down.bias_O,
                x.rows_NI,
                memory.added.row_O,
                eps,
                balance_D,
                x.wide_XI,
            )
        kernels.end(x.rows_NI, scale_N, model.norm_D)

    def _model_of(self, model: LeanModel) -> _Model:
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model(model, self._cache)
        return known

    def _memory_of(self, model: LeanModel, num_tokens: int) -> _Memory:
        memory = self._memory.get((model.precision, num_tokens))
        if memory is None:
            memory = _Memory(model, num_tokens)
            if num_tokens <= KEPT_TOKENS:
                self._memory[(model.precision, num_tokens)] = memory
        return memory
