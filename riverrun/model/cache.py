"""What attention asks of a key/value cache, and the simplest one.

A cache knows which keys a query may see; the decoder knows nothing of slots, pages or
padding. Serving brings its own cache. `ContiguousCache` holds a whole batch that lives and
dies together: the learner's self-written texts, and the tests.

B batch, T new tokens, S tokens seen (old and new), H key/value heads, D head dimension.
"""

from typing import Protocol

import torch
from torch import Tensor

from riverrun.errors import InvalidValue
from riverrun.model.config import ModelConfig


class KeyValueCache(Protocol):
    """Storage for one forward pass's keys and values, and the view that its queries get."""

    @property
    def mask_BTS(self) -> Tensor | None:
        """True where a query may attend; read once a pass, after layer 0 was extended.

        None: the T new tokens are the last of the S, and see each other causally and everything
        before them.
        """

    def extend(self, layer: int, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """Stores the new keys and values; gives all that the queries may see, (B, H, S, D)."""


class ContiguousCache:
    """One preallocated block for a batch of equally many columns; shorter rows are padded left,
    behind a beginning that all rows share, if they do."""

    def __init__(
        self,
        config: ModelConfig,
        num_rows: int,
        capacity: int,
        *,
        padding_B: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """`padding_B` is how many columns at each row's left belong to no token."""
        heads = (config.num_key_value_heads, capacity, config.head_dim)
        shape = (config.num_layers, num_rows, *heads)
        # Zeros: a masked key counts nothing, but 0 x NaN of unwritten memory would.
        self.keys_LBHCD = torch.zeros(shape, dtype=dtype, device=device)
        self.values_LBHCD = torch.zeros(shape, dtype=dtype, device=device)
        self.padding_B = padding_B
        self.capacity = capacity
        self.num_columns = 0
        self._num_shared = 0
        self._num_new = 0

    def take(self, rows_B: Tensor) -> None:
        """Go on with these rows only; one that is named twice goes on as two."""
        self.keys_LBHCD = self.keys_LBHCD.index_select(1, rows_B)
        self.values_LBHCD = self.values_LBHCD.index_select(1, rows_B)
        if self.padding_B is not None:
            self.padding_B = self.padding_B.index_select(0, rows_B)

    def fan_out(self, num_rows: int, padding_B: Tensor | None) -> None:
        """Of one row make `num_rows`, which begin as it does. `padding_B`: the columns after that
        beginning which belong to no token."""
        self.take(torch.zeros(num_rows, dtype=torch.long, device=self.keys_LBHCD.device))
        self.padding_B = padding_B
        self._num_shared = self.num_columns

    def positions_BT(self, num_new: int) -> Tensor:
        """The positions of the next `num_new` columns; padding gets position 0."""
        start = self.num_columns
        columns_1T = torch.arange(start, start + num_new, device=self.keys_LBHCD.device)[None]
        if self.padding_B is None:
            return columns_1T
        return (columns_1T - self.padding_B[:, None]).clamp_min(0)

    def real_columns(self) -> list[Tensor]:
        """Of each row the columns that belong to its tokens, in order."""
        columns_C = torch.arange(self.num_columns, device=self.keys_LBHCD.device)
        if self.padding_B is None:
            return [columns_C] * self.keys_LBHCD.shape[1]
        is_shared_C = columns_C < self._num_shared
        return [
            columns_C[is_shared_C | (columns_C - self._num_shared >= padding)]
            for padding in self.padding_B.tolist()
        ]

    @property
    def mask_BTS(self) -> Tensor | None:
        if self.padding_B is None:
            return None
        columns_S = torch.arange(self.num_columns, device=self.keys_LBHCD.device)
        queries_T = columns_S[self.num_columns - self._num_new :]
        causal_TS = columns_S <= queries_T[:, None]
        real_BS = columns_S - self._num_shared >= self.padding_B[:, None]
        real_BS |= columns_S < self._num_shared
        # A padding query sees itself, so that no row of the softmax is empty.
        itself_TS = columns_S == queries_T[:, None]
        return (causal_TS & real_BS[:, None]) | itself_TS

    def extend(self, layer: int, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        if layer == 0:
            self._num_new = key_BHTD.shape[2]
            if self.num_columns + self._num_new > self.capacity:
                allowed = f"at most the {self.capacity - self.num_columns} columns left"
                raise InvalidValue("new tokens", self._num_new, allowed)
            self.num_columns += self._num_new
        start, end = self.num_columns - self._num_new, self.num_columns
        keys_BHCD, values_BHCD = self.keys_LBHCD[layer], self.values_LBHCD[layer]
        keys_BHCD[:, :, start:end] = key_BHTD
        values_BHCD[:, :, start:end] = value_BHTD
        return keys_BHCD[:, :, :end], values_BHCD[:, :, :end]
