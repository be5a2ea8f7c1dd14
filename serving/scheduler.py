"""Which sequences run next, on which weights, and how many tokens of each.

A sequence with one uncached token decodes; one with more is still being prefilled. A step is at
most one prefill batch, of at most `prefill_tokens`, and one decode batch a version: so a long
prompt delays nobody's next token by more than one such batch. A prompt that begins like what a row
already holds starts behind that beginning.

A sequence that follows is moved to newer weights between two of its tokens; all its tokens are then
prefilled again, by these weights.

Knows nothing of tensors. Called by `serving/engine.py`, on its thread.
"""

from collections import Counter, deque
from dataclasses import dataclass

from serving.fair_queue import FairQueue
from serving.prefixes import Prefixes
from serving.sequence import Sequence
from serving.slots import Slot, Slots


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences that one pass of one version runs, by row; `counts[i]` tokens of each."""

    slot: Slot
    sequences: list[Sequence]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Copy:
    """`num_tokens` of a row's cells, to be copied before the next pass."""

    source: int
    target: int
    num_tokens: int


class Scheduler:
    """Rows of the cache to sequences, fair between clients."""

    def __init__(
        self, slots: Slots, *, max_rows: int, prefill_tokens: int, reuse_prefixes: bool = True
    ) -> None:
        self.waiting = FairQueue()
        self.running: list[Sequence] = []
        self._slots = slots
        self._num_running: Counter[str] = Counter()
        # The row that was freed first is given first: what others hold stays longest.
        self._free_rows = deque(range(max_rows))
        self._prefixes = Prefixes() if reuse_prefixes else None
        self._prefill_tokens = prefill_tokens

    def add(self, sequence: Sequence) -> None:
        self.waiting.add(sequence)

    def admit(self) -> tuple[list[Sequence], list[Copy]]:
        """Give free rows to those whose turn it is, and pin them to what is live now.

        What is copied must be copied in this order, before any pass.
        """
        admitted, copies = [], []
        while self.waiting and self._free_rows:
            sequence = self.waiting.pop(self._num_running)
            self._num_running[sequence.client] += 1
            if sequence.pin is None:
                sequence.pin = self._slots.pin()
            sequence.first_version = sequence.version
            copy = self._place(sequence)
            if copy is not None:
                copies.append(copy)
            self.running.append(sequence)
            admitted.append(sequence)
        return admitted, copies

    def _place(self, sequence: Sequence) -> Copy | None:
        """Give the sequence its row, and the beginning that some row holds of its prompt."""
        found: tuple[int, int] | None = None
        if self._prefixes is not None:
            found = self._prefixes.longest(
                sequence.slot.weights_key, sequence.tokens, sequence.num_reusable
            )
        if found is not None:
            sequence.num_cached = sequence.num_reused = found[1]
        if found is not None and found[0] in self._free_rows:
            sequence.row = found[0]
            self._free_rows.remove(found[0])
        else:
            sequence.row = self._free_rows.popleft()
        if self._prefixes is not None:
            self._prefixes.drop(sequence.row)
            if found is not None:
                # What is there already stays as it is: others may begin with it at once.
                shared = sequence.tokens[: found[1]]
                self._prefixes.hold(sequence.row, sequence.slot.weights_key, shared)
        if found is None or found[0] == sequence.row:
            return None
        return Copy(found[0], sequence.row, found[1])

    def schedule(self) -> list[Batch]:
        """The batches of one step, in the order to run them."""
        decoding: dict[Slot, list[Sequence]] = {}
        prefilling: list[Sequence] = []
        for sequence in self.running:
            if sequence.num_uncached == 1:
                decoding.setdefault(sequence.slot, []).append(sequence)
            else:
                prefilling.append(sequence)
        batches = [self._prefill_batch(prefilling)] if prefilling else []
        for slot, sequences in decoding.items():
            sequences.sort(key=_row)
            batches.append(Batch(slot, sequences, [1] * len(sequences)))
        return batches

    def _prefill_batch(self, prefilling: list[Sequence]) -> Batch:
        """The oldest prompt's next piece, with others of its version as far as they fit."""
        slot = prefilling[0].slot
        chosen: list[tuple[Sequence, int]] = []
        left = self._prefill_tokens
        for sequence in prefilling:
            if sequence.slot is not slot:
                continue
            count = min(sequence.num_uncached, left)
            chosen.append((sequence, count))
            left -= count
            if left == 0:
                break
        chosen.sort(key=lambda pair: _row(pair[0]))
        return Batch(slot, [sequence for sequence, _ in chosen], [count for _, count in chosen])

    def release(self, sequence: Sequence) -> None:
        """Free the row and the pin of a sequence that has ended."""
        self.running.remove(sequence)
        assert sequence.row is not None
        self._num_running[sequence.client] -= 1
        if not self._num_running[sequence.client]:
            del self._num_running[sequence.client]
        if self._prefixes is not None:
            self._prefixes.hold(
                sequence.row, sequence.slot.weights_key, sequence.tokens[: sequence.num_cached]
            )
        self._free_rows.append(sequence.row)
        sequence.release()

    def hold_prompt(self, sequence: Sequence) -> None:
        """The prompt is through: others may begin with it while its answer still runs."""
        if self._prefixes is not None:
            self._prefixes.hold(
                _row(sequence), sequence.slot.weights_key, sequence.tokens[: sequence.num_cached]
            )

    def forget(self, row: int) -> None:
        """What the row holds was cleared."""
        if self._prefixes is not None:
            self._prefixes.drop(row)

    def follow(self) -> list[Sequence]:
        """Move those that follow to what is live now, and give them; their keys are made anew.

        One that the origin answers stays: each version has the same one.
        One that has not made a token since it was moved goes on first: so that swaps, however
        quick, cannot keep it from its end.
        """
        moved = []
        for sequence in self.running:
            if (
                sequence.follows
                and sequence.switches
                and sequence.num_generated > sequence.switches[-1].num_tokens
                and not self._slots.is_current(sequence.slot)
            ):
                sequence.release()
                sequence.pin = self._slots.pin()
                sequence.num_cached = 0
                self.forget(_row(sequence))
                moved.append(sequence)
        return moved

    def expired(self, now: float, max_pin_s: float) -> list[Sequence]:
        """Those that hold weights that are not current for longer than they may."""
        held = [*self.running, *self.waiting]
        return [one for one in held if self._held_since(one, now) + max_pin_s < now]

    def _held_since(self, sequence: Sequence, now: float) -> float:
        pin = sequence.pin
        if pin is None or sequence.follows or self._slots.is_current(pin.slot):
            return now
        return max(pin.at, pin.slot.superseded_at or 0.0)

    def remove(self, sequences: list[Sequence]) -> None:
        """Free what these hold, running or waiting."""
        running = set(self.running)
        self.waiting.remove(set(sequences))
        for sequence in sequences:
            if sequence in running:
                self.release(sequence)
            else:
                sequence.release()

    def remove_cancelled(self) -> list[Sequence]:
        """Free what cancelled sequences hold, and give them."""
        cancelled = [one for one in (*self.running, *self.waiting) if one.cancelled]
        self.remove(cancelled)
        return cancelled


def _row(sequence: Sequence) -> int:
    assert sequence.row is not None, "a running sequence has a row"
    return sequence.row
