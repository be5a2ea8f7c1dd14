"""Which sequences run next, on which weights, and how many tokens of each.

A sequence with one uncached token decodes; one with more is still being prefilled. A step is at
most one prefill batch, of at most `prefill_tokens`, and one decode batch a version: so a long
prompt delays nobody's next token by more than one such batch.

Knows nothing of tensors. Called by `serving/engine.py`, on its thread.
"""

import heapq
from collections import deque
from dataclasses import dataclass

from serving.sequence import Sequence
from serving.slots import Slot, Slots


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences that one pass of one version runs, by row; `counts[i]` tokens of each."""

    slot: Slot
    sequences: list[Sequence]
    counts: list[int]


class Scheduler:
    """Rows of the cache to sequences, first come, first served."""

    def __init__(self, slots: Slots, *, max_rows: int, prefill_tokens: int) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._slots = slots
        self._free_rows = list(range(max_rows))
        self._prefill_tokens = prefill_tokens

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def admit(self) -> None:
        """Give free rows to those who waited longest, and pin them to what is live now."""
        while self.waiting and self._free_rows:
            sequence = self.waiting.popleft()
            # The lowest row first: batches without gaps are read from the cache as a view.
            sequence.row = heapq.heappop(self._free_rows)
            sequence.slot = self._slots.pin()
            self.running.append(sequence)

    def schedule(self) -> list[Batch]:
        """The batches of one step, in the order to run them."""
        prefill = self._prefill_batch()
        decoding: dict[Slot, list[Sequence]] = {}
        for sequence in self.running:
            if sequence.num_uncached == 1:
                assert sequence.slot is not None
                decoding.setdefault(sequence.slot, []).append(sequence)
        batches = [] if prefill is None else [prefill]
        for slot, sequences in decoding.items():
            sequences.sort(key=_row)
            batches.append(Batch(slot, sequences, [1] * len(sequences)))
        return batches

    def _prefill_batch(self) -> Batch | None:
        """The oldest prompt's next piece, with others of its version as far as they fit.

        Rows are padded to the longest, so it is the padded size that must fit.
        """
        slot: Slot | None = None
        chosen: list[tuple[Sequence, int]] = []
        longest = 0
        for sequence in self.running:
            if sequence.num_uncached == 1 or (slot is not None and sequence.slot is not slot):
                continue
            count = min(sequence.num_uncached, self._prefill_tokens)
            if chosen and max(longest, count) * (len(chosen) + 1) > self._prefill_tokens:
                break
            slot = sequence.slot
            chosen.append((sequence, count))
            longest = max(longest, count)
        if slot is None:
            return None
        chosen.sort(key=lambda pair: _row(pair[0]))
        return Batch(slot, [sequence for sequence, _ in chosen], [count for _, count in chosen])

    def release(self, sequence: Sequence) -> None:
        """Free the row and the pin of a sequence that has ended."""
        self.running.remove(sequence)
        assert sequence.row is not None
        assert sequence.slot is not None
        heapq.heappush(self._free_rows, sequence.row)
        self._slots.unpin(sequence.slot)

    def remove_cancelled(self) -> int:
        """Free what cancelled sequences hold; how many there were."""
        cancelled = [sequence for sequence in self.running if sequence.cancelled]
        for sequence in cancelled:
            self.release(sequence)
        waiting = len(self.waiting)
        self.waiting = deque(sequence for sequence in self.waiting if not sequence.cancelled)
        return len(cancelled) + waiting - len(self.waiting)


def _row(sequence: Sequence) -> int:
    assert sequence.row is not None, "a running sequence has a row"
    return sequence.row
