"""What the rows of the cache hold, so that a prompt's beginning need not be run twice.

A row keeps its keys after its sequence has ended, until it is given to another. A new prompt that
begins like what a row holds, of the same weights, starts with a copy of those keys. Weights are
told apart by their key (a version's id, or the origin), never by their slot: a slot is written
again.

Knows nothing of tensors. Called by `serving/scheduler.py`.
"""

from riverrun.beginnings import num_shared

MIN_TOKENS = 16
"""A shorter beginning is not worth a copy."""


class Prefixes:
    """By row, the weights and the tokens whose keys it holds."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[str, list[int]]] = {}
        self._rows: dict[tuple[str, tuple[int, ...]], set[int]] = {}

    def hold(self, row: int, weights: str, tokens: list[int]) -> None:
        """`row` holds the keys of exactly these tokens."""
        self.drop(row)
        if len(tokens) >= MIN_TOKENS:
            self._held[row] = weights, tokens
            self._rows.setdefault(_key(weights, tokens), set()).add(row)

    def drop(self, row: int) -> None:
        """`row` is to be written, or holds nothing good."""
        held = self._held.pop(row, None)
        if held is not None:
            key = _key(*held)
            self._rows[key].discard(row)
            if not self._rows[key]:
                del self._rows[key]

    def longest(self, weights: str, tokens: list[int], limit: int) -> tuple[int, int] | None:
        """The row that shares most with the first `limit` of `tokens`, and how many tokens."""
        if limit < MIN_TOKENS:
            return None
        best: tuple[int, int] | None = None
        for row in sorted(self._rows.get(_key(weights, tokens), ())):
            shared = num_shared(self._held[row][1], tokens, limit)
            if best is None or shared > best[1]:
                best = row, shared
        return best


def _key(weights: str, tokens: list[int]) -> tuple[str, tuple[int, ...]]:
    return weights, tuple(tokens[:MIN_TOKENS])
