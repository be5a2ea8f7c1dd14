"""The keys and values of all rows, allocated once.

One row is `context_tokens` cells, and belongs to one sequence from its first token to its last;
so keys of different versions lie in one pool and never in one row. A pass writes its new keys
through flat cell numbers and reads neighbouring rows as a view: nothing is copied unless the rows
of a batch have gaps between them.

Knows nothing of sequences or versions. Called by `serving/runner.py`.

L layers, R rows of the pool, C cells a row, N cells in all, B rows of a batch, T new tokens,
S tokens seen, H key/value heads, D head dimension.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from riverrun.model.config import ModelConfig


class SlottedCache:
    """`max_rows` rows of `context_tokens` cells, in every layer."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        max_rows: int,
        context_tokens: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.max_rows = max_rows
        self.context_tokens = context_tokens
        self.device = torch.device(device)
        num_cells = max_rows * context_tokens
        # One cell more than the rows have: what a padded token writes goes there.
        shape = (num_cells + 1, config.num_key_value_heads, config.head_dim)
        # Zeros: a masked key counts nothing, but 0 x NaN of unwritten memory would.
        self.keys_L = [
            torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.num_layers)
        ]
        self.values_L = [torch.zeros_like(keys_NHD) for keys_NHD in self.keys_L]
        rows = (max_rows, context_tokens, *shape[1:])
        self.key_rows_L = [keys_NHD[:num_cells].view(rows) for keys_NHD in self.keys_L]
        self.value_rows_L = [values_NHD[:num_cells].view(rows) for values_NHD in self.values_L]
        self.columns_C = torch.arange(context_tokens, device=device)

    @property
    def num_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys_L, *self.values_L))

    def window(
        self, rows: Sequence[int], starts: Sequence[int], counts: Sequence[int]
    ) -> "CacheWindow":
        """What one pass over `counts[i]` new tokens of `rows[i]`, from `starts[i]` on, sees."""
        return CacheWindow(self, rows, starts, counts)

    def clear(self, row: int) -> None:
        """Forget a row whose values are not finite: zero times NaN would reach the next one."""
        for rows_RCHD in (*self.key_rows_L, *self.value_rows_L):
            rows_RCHD[row].zero_()


class CacheWindow:
    """One pass's part of the cache (a `riverrun.model.cache.KeyValueCache`).

    Rows with fewer new tokens than the longest are padded on the right: the padding's keys go to
    the spare cell, and nobody looks at what its queries see.
    """

    def __init__(
        self,
        cache: SlottedCache,
        rows: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
    ) -> None:
        self._cache = cache
        num_new = max(counts)
        self._num_seen = max(starts) + num_new
        if self._num_seen > cache.context_tokens:
            # Padding of the longest row may reach over the end; its own tokens never do.
            self._num_seen = cache.context_tokens
        self._first, num_rows = rows[0], len(rows)
        self._end = self._first + num_rows
        self._is_run = all(row == self._first + i for i, row in enumerate(rows))
        rows_B = torch.tensor(rows, device=cache.device)
        self._rows_B = rows_B
        starts_B1 = torch.tensor(starts, device=cache.device)[:, None]
        offsets_T = cache.columns_C[:num_new]
        self.positions_BT = starts_B1 + offsets_T
        cells_BT = rows_B[:, None] * cache.context_tokens + self.positions_BT
        is_even = all(count == num_new for count in counts)
        if not is_even:
            counts_B1 = torch.tensor(counts, device=cache.device)[:, None]
            spare = cache.max_rows * cache.context_tokens
            cells_BT = cells_BT.masked_fill(offsets_T >= counts_B1, spare)
        self._cells_N = cells_BT.flatten()
        self.mask_BTS: Tensor | None = None
        if not is_even or any(start != starts[0] for start in starts):
            columns_S = cache.columns_C[: self._num_seen]
            self.mask_BTS = columns_S <= self.positions_BT[..., None]

    def extend(self, layer: int, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        cache = self._cache
        key_NHD = key_BHTD.transpose(1, 2).flatten(0, 1)
        value_NHD = value_BHTD.transpose(1, 2).flatten(0, 1)
        cache.keys_L[layer].index_copy_(0, self._cells_N, key_NHD)
        cache.values_L[layer].index_copy_(0, self._cells_N, value_NHD)
        keys_RCHD, values_RCHD = cache.key_rows_L[layer], cache.value_rows_L[layer]
        if self._is_run:
            keys_BSHD = keys_RCHD[self._first : self._end, : self._num_seen]
            values_BSHD = values_RCHD[self._first : self._end, : self._num_seen]
        else:
            keys_BSHD = keys_RCHD[:, : self._num_seen].index_select(0, self._rows_B)
            values_BSHD = values_RCHD[:, : self._num_seen].index_select(0, self._rows_B)
        return keys_BSHD.transpose(1, 2), values_BSHD.transpose(1, 2)
