"""Many short examples in few rows: each sees itself, and the prefix if it follows it, no other.

Padding would cost as much as text: documents of 40 and 250 tokens stand side by side. So examples
share rows; positions restart with each, and the attention mask keeps them apart. A test holds that
an example's loss does not depend on its neighbours.

B rows, T columns of a row, S columns seen (the same T), H heads, D width of a head.
"""

import heapq
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.framing import Example

Places = npt.NDArray[np.int64]
PREFIX_SEGMENT = 0
WIDTH = 32
"""Rows are as wide as a multiple of this: products in bfloat16 are compiled for each shape, 3 ms
each where there is AMX, and texts of all lengths would make each step's shapes new."""
EVEN = 0.9
"""Share of rows that must be text for each example to have one of its own."""


def lay_out(lengths: Sequence[int], row_tokens: int, num_shared: int = 0) -> list[list[int]]:
    """Which example lies in which row, for rows of about `row_tokens` or a little more.

    num_shared: tokens that each row begins with, computed once a row: few rows are cheaper then.
    """
    num_rows = max(1, math.ceil(sum(lengths) / row_tokens))
    if sum(lengths) >= EVEN * (num_shared + max(lengths)) * len(lengths):
        # As good as equal: a row for each wastes little, and causality alone keeps them apart.
        num_rows = len(lengths)
    return [row for row in evenly(lengths, num_rows) if row]


def evenly(lengths: Sequence[int], num_groups: int) -> list[list[int]]:
    """Indices in groups that are about as long: longest first into the group with most room; ties
    go to the lower index, so equal lengths give equal groups."""
    groups: list[list[int]] = [[] for _ in range(num_groups)]
    room = [(0, group) for group in range(num_groups)]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        filled, group = heapq.heappop(room)
        groups[group].append(index)
        heapq.heappush(room, (filled + lengths[index], group))
    return groups


class Packed:
    """Examples laid into rows, as the decoder wants them.

    Stands in for the decoder's key/value cache: it stores nothing, but says who sees whom.
    """

    def __init__(
        self,
        prefix: Sequence[int],
        examples: Sequence[Example],
        row_tokens: int,
        device: torch.device,
    ) -> None:
        shared = list(prefix) if any(example.follows_prefix for example in examples) else []
        rows = lay_out([len(example.tokens) for example in examples], row_tokens, len(shared))
        width = len(shared) + max(sum(len(examples[i].tokens) for i in row) for row in rows)
        width = math.ceil(width / WIDTH) * WIDTH
        tokens_BT = np.zeros((len(rows), width), np.int64)
        positions_BT = np.zeros((len(rows), width), np.int64)
        # Padding keeps the last segment number: it sees itself, so that no softmax is empty.
        segments_BT = np.full((len(rows), width), len(examples) + 1, np.int64)
        follows_BT = np.zeros((len(rows), width), np.bool_)
        self._starts = [(0, 0)] * len(examples)
        self._num_shared, self._width = len(shared), width
        self._has_neighbours = bool(shared) or len(rows) < len(examples)
        for r, row in enumerate(rows):
            tokens_BT[r, : len(shared)] = shared
            positions_BT[r, : len(shared)] = np.arange(len(shared))
            segments_BT[r, : len(shared)] = PREFIX_SEGMENT
            start = len(shared)
            for index in row:
                example = examples[index]
                end = start + len(example.tokens)
                first_position = len(shared) if example.follows_prefix else 0
                tokens_BT[r, start:end] = example.tokens
                positions_BT[r, start:end] = np.arange(end - start) + first_position
                segments_BT[r, start:end] = index + 1
                follows_BT[r, start:end] = example.follows_prefix
                self._starts[index] = (r, start)
                start = end
        self.tokens_BT = torch.from_numpy(tokens_BT).to(device)
        self.positions_BT = torch.from_numpy(positions_BT).to(device)
        self._segments_BT = torch.from_numpy(segments_BT).to(device)
        self._follows_BT = torch.from_numpy(follows_BT).to(device)

    def sources(self, index: int, example: Example) -> Places:
        """Where, in the rows laid end to end, each target of the example is predicted."""
        row, start = self._starts[index]
        places = np.arange(start + example.first_target - 1, start + len(example.tokens) - 1)
        if example.first_target == 0:
            places[0] = self._num_shared - 1
        return places + row * self._width

    @property
    def mask_BTS(self) -> Tensor | None:
        """Who sees whom; None where each row is one example, and its padding comes after it."""
        if not self._has_neighbours:
            return None
        same_BTS = self._segments_BT[:, :, None] == self._segments_BT[:, None, :]
        prefix_BTS = (self._segments_BT == PREFIX_SEGMENT)[:, None, :] & self._follows_BT[
            :, :, None
        ]
        columns_T = torch.arange(self._width, device=self._segments_BT.device)
        return (same_BTS | prefix_BTS) & (columns_T[None, :] <= columns_T[:, None])

    def extend(self, layer: int, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """There is no past: the new keys and values are all that there are."""
        del layer
        return key_BHTD, value_BHTD
