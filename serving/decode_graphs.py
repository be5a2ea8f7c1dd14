"""Decode passes as CUDA graphs: one launch instead of about ten a layer.

A graph replays its kernels on the memory that they were recorded with. So a pass takes a form that
never changes: a token for each of the pool's first R rows, which see S columns; both are powers of
two, so there are few forms. A row that has no token in the pass writes its keys where nobody reads
(the cache's spare row). A slot's weights are written over in place when a version is loaded, so a
slot's graphs hold for each version that it has.

Recorded when a form is first wanted, which costs that one pass some 0.1 s. Called by
`serving/runner.py` where there is CUDA; a CPU runs the same passes unrecorded in the tests.

R rows of the pool, S columns seen, H key/value heads, G queries a key/value head, E head width,
K = 2H cells of a token, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from serving.cache import MIN_COLUMNS, SlottedCache
from serving.lean_model import LeanModel

WARMUP_RUNS = 3
"""Before a recording, as torch asks for: libraries choose their kernels and take their memory."""


class FixedPass:
    """One token of each of the first R rows (a `serving.lean_model.Window`)."""

    def __init__(
        self, model: LeanModel, cache: SlottedCache, num_rows: int, num_columns: int
    ) -> None:
        device = cache.device
        self._model, self._cache = model, cache
        self._num_rows, self._num_columns = num_rows, num_columns
        self._tokens_R = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._cells_R = torch.zeros(num_rows, dtype=torch.long, device=device)
        self.positions_N = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._cells = torch.empty(0)
        self._bias_B1S = torch.empty(0)
        self.logits_RV = torch.empty(0)

    def fill(self, rows: Sequence[int], tokens: Sequence[int], starts: Sequence[int]) -> None:
        """What the next run is of: each row's token, and how many of its cells are filled."""
        per_row = self._cache.num_heads * self._cache.num_cells
        spare = self._cache.max_rows * per_row
        numbers = [(0, spare, 0)] * self._num_rows
        for row, token, start in zip(rows, tokens, starts, strict=True):
            numbers[row] = (token, row * per_row + start, start)
        fixed = (self._tokens_R, self._cells_R, self.positions_N)
        for tensor, values in zip(fixed, zip(*numbers, strict=True), strict=True):
            tensor.copy_(torch.tensor(values))

    def run(self) -> None:
        """Leaves `logits_RV`, where the rows without a token have no meaning."""
        cache = self._cache
        self._cells = (self._cells_R[:, None] + cache.offsets_K).flatten()
        bias_RS = cache.bias(self.positions_N, self._num_columns)
        self._bias_B1S = bias_RS.repeat_interleave(cache.num_heads, 0)[:, None]
        self.logits_RV = self._model.logits(self._model.hidden(self._tokens_R, self))

    def attend(self, layer: int, query_NHGE: Tensor, new_NKE: Tensor) -> Tensor:
        cache, count = self._cache, self._num_rows * self._cache.num_heads
        group, width = query_NHGE.shape[-2:]
        cache.flat_L[layer].index_copy_(0, self._cells, new_NKE.reshape(-1, width))
        keys_BSE = cache.keys_L[layer][:count, : self._num_columns]
        values_BSE = cache.values_L[layer][:count, : self._num_columns]
        query_BGE = query_NHGE.reshape(count, group, width)
        scores_BGS = torch.baddbmm(
            self._bias_B1S, query_BGE, keys_BSE.transpose(1, 2), alpha=cache.scale
        )
        return torch.bmm(torch.softmax(scores_BGS, -1), values_BSE).view(self._num_rows, -1)


@dataclass(frozen=True, slots=True)
class _Recorded:
    fixed: FixedPass
    graph: "torch.cuda.CUDAGraph"


class DecodeGraphs:
    """The recorded forms of each slot's model, over one cache with a spare row."""

    def __init__(self, cache: SlottedCache) -> None:
        self._cache = cache
        self._recorded: dict[tuple[LeanModel, int, int], _Recorded] = {}
        self._memory = torch.cuda.graph_pool_handle()

    def logits(
        self,
        model: LeanModel,
        rows: Sequence[int],
        tokens: Sequence[int],
        starts: Sequence[int],
    ) -> Tensor:
        """The next token's scores of each row, (len(rows), V), good until the next call."""
        form = form_of(self._cache, rows, starts)
        recorded = self._recorded.get((model, *form))
        if recorded is None:
            fixed = FixedPass(model, self._cache, *form)
            fixed.fill(rows, tokens, starts)
            recorded = self._recorded[(model, *form)] = self._record(fixed)
        recorded.fixed.fill(rows, tokens, starts)
        recorded.graph.replay()
        return recorded.fixed.logits_RV[torch.tensor(rows, device=self._cache.device)]

    def _record(self, fixed: FixedPass) -> _Recorded:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_RUNS):
                fixed.run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Of this thread alone: the watcher's copies weights into another slot meanwhile.
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            fixed.run()
        return _Recorded(fixed, graph)


def form_of(cache: SlottedCache, rows: Sequence[int], starts: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the smallest form that has room."""
    num_rows = _power_of_two(max(rows) + 1)
    num_columns = max(MIN_COLUMNS, _power_of_two(max(starts) + 1))
    return min(num_rows, cache.max_rows), min(num_columns, cache.num_cells)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
