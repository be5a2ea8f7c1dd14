"""The keys and values of all rows, allocated once, and attention over them.

One row is `context_tokens` cells in each head, and belongs to one sequence from its first token to
its last; so keys of different versions lie in one pool and never in one row. A pass writes its new
keys through flat cell numbers. Attention reads neighbouring rows as one view: nothing is copied.

In an exact pass every query is multiplied with the keys as a matrix of its own, of G rows, over a
number of columns that is a multiple of 16: so what a query sees is computed in the same order, and
is the same bit by bit, whether its token came alone, in a batch or in the middle of a prompt. A
prompt's piece as one wide product takes half the time (0.4 ms against 1.0 for 128 tokens and one
layer of SmolLM2) and differs in the last bits, which int8 rounds apart; fp32 products differ there
anyway.

Knows nothing of sequences or versions. Called by `serving/runner.py`.

L layers, R rows of the pool, C cells a row, B rows of a batch, N tokens of a pass, T tokens of one
prompt's piece, S columns seen, H key/value heads, G queries a key/value head, E head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from riverrun.errors import InvalidValue
from riverrun.model.config import ModelConfig

ALIGNED = 16
"""Columns are read in multiples of it."""
MIN_COLUMNS = 64
"""Columns read at least: torch multiplies the smallest matrices in another order."""


def row_bytes(config: ModelConfig, context_tokens: int) -> int:
    """What one row of the cache takes, fp32."""
    per_token = 2 * config.num_layers * config.num_key_value_heads * config.head_dim * 4
    return per_token * _aligned(context_tokens)


def check_budget(
    config: ModelConfig, *, max_rows: int, num_spare: int, context_tokens: int, budget_bytes: int
) -> None:
    """
    num_spare: as `SlottedCache` takes it; these count, too.

    Raises:
        InvalidValue: the rows do not fit the budget; says how many would.
    """
    one = row_bytes(config, context_tokens)
    needed_bytes = one * (max_rows + num_spare)
    if needed_bytes > budget_bytes:
        needed_mb = -(-needed_bytes // 1_000_000)
        raise InvalidValue(
            "serving.cache_mb",
            budget_bytes // 1_000_000,
            f"at least {needed_mb} for serving.max_rows {max_rows} of {context_tokens} tokens; "
            f"or at most {max(0, budget_bytes // one - num_spare)} rows",
        )


class SlottedCache:
    """`max_rows` rows of `context_tokens` cells, in every layer and head."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        max_rows: int,
        context_tokens: int,
        device: torch.device | str = "cpu",
        num_spare: int = 0,
    ) -> None:
        """num_spare: rows behind the pool that belong to no sequence (`decode_graphs.py`)."""
        self.max_rows = max_rows
        self.context_tokens = context_tokens
        self.device = torch.device(device)
        self.num_heads = heads = config.num_key_value_heads
        self.num_cells = cells = _aligned(context_tokens)
        self.group = config.num_heads // heads
        self.scale = config.head_dim**-0.5
        num_rows = max_rows + num_spare
        half = num_rows * heads * cells
        # Zeros: a masked key counts nothing, but 0 x NaN of unwritten memory would.
        self.flat_L = [
            torch.zeros(2 * half, config.head_dim, device=device) for _ in range(config.num_layers)
        ]
        shape = (num_rows * heads, cells, config.head_dim)
        self.keys_L = [flat[:half].view(shape) for flat in self.flat_L]
        self.values_L = [flat[half:].view(shape) for flat in self.flat_L]
        self.columns_C = torch.arange(cells, device=device)
        keys_H = torch.arange(heads, device=device) * cells
        # From a token's cell of head 0's keys to its cells of all heads' keys, then values.
        self.offsets_K = torch.cat((keys_H, keys_H + half))

    @property
    def num_bytes(self) -> int:
        return sum(flat.nbytes for flat in self.flat_L)

    def window(
        self,
        rows: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
        *,
        is_exact: bool = True,
    ) -> "CacheWindow":
        """What one pass over `counts[i]` new tokens of `rows[i]`, from `starts[i]` on, sees."""
        return CacheWindow(self, rows, starts, counts, is_exact=is_exact)

    def bias(self, positions_T: Tensor, num_seen: int) -> Tensor:
        """What is added to the scores of tokens at these positions, (T, S): -inf for what is later
        than the token."""
        hidden_TS = self.columns_C[:num_seen] > positions_T[:, None]
        bias_TS = torch.zeros(hidden_TS.shape, device=self.device)
        return bias_TS.masked_fill_(hidden_TS, float("-inf"))

    def clear(self, row: int) -> None:
        """Forget a row whose values are not finite: zero times NaN would reach the next one."""
        for rows in (*self.keys_L, *self.values_L):
            rows[row * self.num_heads : (row + 1) * self.num_heads].zero_()

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Give `target` the first `num_tokens` of what `source` holds."""
        heads = self.num_heads
        for rows in (*self.keys_L, *self.values_L):
            found = rows[source * heads : (source + 1) * heads, :num_tokens]
            rows[target * heads : (target + 1) * heads, :num_tokens] = found


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring rows with equally many new tokens: tokens `first` to `end` of the pass."""

    first: int
    end: int
    row: int
    num_rows: int
    count: int
    num_seen: int
    bias: Tensor
    """For one token a row (rows x heads, 1, S); for more, which start alike, (1, T x G, S)."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One row with several new tokens, in an exact pass."""

    first: int
    end: int
    row: int
    num_seen: int
    bias_T1S: Tensor


class CacheWindow:
    """One pass's part of the cache (a `serving.lean_model.Window`)."""

    def __init__(
        self,
        cache: SlottedCache,
        rows: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
        *,
        is_exact: bool,
    ) -> None:
        self._cache = cache
        positions: list[int] = []
        cells: list[int] = []
        per_row = cache.num_heads * cache.num_cells
        for row, start, count in zip(rows, starts, counts, strict=True):
            positions.extend(range(start, start + count))
            cells.extend(range(row * per_row + start, row * per_row + start + count))
        self.positions_N = torch.tensor(positions, device=cache.device)
        cells_N1 = torch.tensor(cells, device=cache.device)[:, None]
        self._cells = (cells_N1 + cache.offsets_K).flatten()
        self._runs: list[_Run] = []
        self._pieces: list[_Piece] = []
        first = i = 0
        while i < len(rows):
            count, end = counts[i], i + 1
            if count > 1 and is_exact:
                self._pieces.append(self._piece(first, rows[i], starts[i], count))
            else:
                while (
                    end < len(rows)
                    and counts[end] == count
                    and rows[end] == rows[end - 1] + 1
                    and (count == 1 or starts[end] == starts[i])
                ):
                    end += 1
                self._runs.append(self._run(first, rows[i], starts[i:end], count))
            first += count * (end - i)
            i = end

    def _run(self, first: int, row: int, starts: Sequence[int], count: int) -> _Run:
        cache, num_rows = self._cache, len(starts)
        num_seen = _aligned(max(starts) + count)
        if count == 1:
            bias_BS = cache.bias(self.positions_N[first : first + num_rows], num_seen)
            if num_rows > 1:
                bias_BS = bias_BS.repeat_interleave(cache.num_heads, 0)
            bias = bias_BS[:, None]
        else:
            bias_TS = cache.bias(self.positions_N[first : first + count], num_seen)
            bias = bias_TS.repeat_interleave(cache.group, 0)[None]
        return _Run(first, first + num_rows * count, row, num_rows, count, num_seen, bias)

    def _piece(self, first: int, row: int, start: int, count: int) -> _Piece:
        end, num_seen = first + count, _aligned(start + count)
        bias_TS = self._cache.bias(self.positions_N[first:end], num_seen)
        return _Piece(first, end, row, num_seen, bias_TS[:, None])

    def attend(self, layer: int, query_NHGE: Tensor, new_NKE: Tensor) -> Tensor:
        cache = self._cache
        num_tokens, heads, group, width = query_NHGE.shape
        new = new_NKE.reshape(-1, width)
        cache.flat_L[layer].index_copy_(0, self._cells, new)
        keys, values = cache.keys_L[layer], cache.values_L[layer]
        seen_NHGE = query_NHGE.new_empty(query_NHGE.shape)
        for run in self._runs:
            span = slice(run.row * heads, (run.row + run.num_rows) * heads)
            split = (run.num_rows, run.count, heads, group, width)
            query = query_NHGE[run.first : run.end]
            if run.count > 1:
                query = query.view(split).transpose(1, 2)
            scores = torch.baddbmm(
                run.bias,
                query.reshape(run.num_rows * heads, -1, width),
                keys[span, : run.num_seen].transpose(1, 2),
                alpha=cache.scale,
            )
            weights = torch.softmax(scores, -1)
            out = seen_NHGE[run.first : run.end]
            if run.count == 1:
                torch.bmm(weights, values[span, : run.num_seen], out=out.view(-1, group, width))
            else:
                seen = torch.bmm(weights, values[span, : run.num_seen])
                turned = seen.view(run.num_rows, heads, run.count, group, width).transpose(1, 2)
                out.view(split).copy_(turned)
        for piece in self._pieces:
            count = piece.end - piece.first
            for head in range(heads):
                column = piece.row * heads + head
                keys_TES = keys[column, : piece.num_seen].t().expand(count, -1, -1)
                values_TSE = values[column, : piece.num_seen].expand(count, -1, -1)
                query_TGE = query_NHGE[piece.first : piece.end, head]
                scores_TGS = torch.baddbmm(piece.bias_T1S, query_TGE, keys_TES, alpha=cache.scale)
                seen_NHGE[piece.first : piece.end, head] = torch.bmm(
                    torch.softmax(scores_TGS, -1), values_TSE
                )
        return seen_NHGE.view(num_tokens, heads * group * width)


def _aligned(num_columns: int) -> int:
    return max(MIN_COLUMNS, -(-num_columns // ALIGNED) * ALIGNED)
