"""The one thread that owns model, cache and swap: schedule, run, postprocess.

Requests come in through `submit` and `cancel`, from any thread; answers leave through `deliver`,
which is given all that one step made and must only pass it on. Between two steps, and only
there, new weights go live and cancelled sequences lose their rows.

Knows nothing of sockets, protos or the store. Started by `serving/main.py`.
"""

import threading
import time
from collections.abc import Callable, Collection

from riverrun.errors import ModelError, NotServing, Overloaded
from riverrun.store import Manifest
from serving.cache import SlottedCache
from serving.runner import Runner
from serving.scheduler import Batch, Scheduler
from serving.sequence import Delta, FinishReason, Sequence
from serving.slots import Slots
from serving.tally import Tally

Deliveries = list[tuple[Sequence, Delta]]

RETRY_AFTER_S = 1.0
"""What a refused client is told to wait: about the time that a short answer takes."""


class Engine:
    """Continuous batching over live weights."""

    def __init__(
        self,
        slots: Slots,
        cache: SlottedCache,
        tally: Tally,
        *,
        eos_ids: Collection[int],
        deliver: Callable[[Deliveries], None],
        on_swap: Callable[[Manifest], None],
        max_waiting: int,
        prefill_tokens: int,
        chunk_interval_s: float,
    ) -> None:
        self.slots = slots
        self.cache = cache
        self.tally = tally
        self._eos_ids = frozenset(eos_ids)
        self._deliver = deliver
        self._on_swap = on_swap
        self._max_open = cache.max_rows + max_waiting
        self._chunk_interval_s = chunk_interval_s
        self._scheduler = Scheduler(slots, max_rows=cache.max_rows, prefill_tokens=prefill_tokens)
        self._runner = Runner(cache)
        self._wake = threading.Condition()
        # Guarded by `_wake`:
        self._arrived: list[Sequence] = []
        self._has_cancelled = False
        self._stopping = False
        self._num_open = 0

    # From any thread

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its sink gets deltas up to one with an end or an error.

        Raises:
            Overloaded: all rows are taken and the queue is full.
            NotServing: the engine has stopped.
        """
        with self._wake:
            if self._stopping:
                raise NotServing("the server stops")
            if self._num_open >= self._max_open:
                raise Overloaded(
                    f"{self._num_open} requests are open, as many as may be "
                    "(serving.max_rows + serving.max_waiting)",
                    RETRY_AFTER_S,
                )
            self._num_open += 1
            self._arrived.append(sequence)
            self._wake.notify()

    def cancel(self, sequence: Sequence) -> None:
        """Free what the sequence holds before the next step; harmless after its end."""
        with self._wake:
            sequence.cancelled = True
            self._has_cancelled = True
            self._wake.notify()

    def offer(self, manifest: Manifest) -> None:
        """The staged slot holds this version: it goes live before the next step."""
        self.slots.offer(manifest)
        with self._wake:
            self._wake.notify()

    def stop(self) -> None:
        """End `run` before the next step, whatever is open."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    @property
    def num_rows(self) -> int:
        return len(self._scheduler.running)

    @property
    def num_waiting(self) -> int:
        return max(0, self._num_open - self.num_rows)

    # The engine's thread

    def run(self) -> None:
        """Step until stopped. Whatever it raises is a fault of ours and ends the process."""
        while self._wait_for_work():
            self.step()

    def _wait_for_work(self) -> bool:
        """True as soon as there is something to do, False when that is to stop."""
        with self._wake:
            self._wake.wait_for(self._has_work)
            return not self._stopping

    def _has_work(self) -> bool:
        waits = self.slots.live is not None and bool(self._scheduler.waiting)
        return bool(
            self._stopping
            or self._arrived
            or self._has_cancelled
            or self.slots.has_offer
            or self._scheduler.running
            or waits
        )

    def step(self) -> None:
        """Take what came, swap, admit; then schedule, run, postprocess."""
        self._take_what_came()
        manifest = self.slots.swap()
        if manifest is not None:
            self.tally.swapped(manifest)
            self._on_swap(manifest)
        if self.slots.live is not None:
            self._scheduler.admit()
        deliveries: Deliveries = []
        for batch in self._scheduler.schedule():
            chosen = self._runner.run(batch)
            self._postprocess(batch, chosen, deliveries)
        if deliveries:
            self._deliver(deliveries)
        self.tally.metrics.rows.set(self.num_rows)
        self.tally.metrics.waiting.set(self.num_waiting)

    def _take_what_came(self) -> None:
        with self._wake:
            arrived, self._arrived = self._arrived, []
            has_cancelled, self._has_cancelled = self._has_cancelled, False
        for sequence in arrived:
            self._scheduler.add(sequence)
        if has_cancelled:
            self._close(self._scheduler.remove_cancelled())

    def _postprocess(self, batch: Batch, chosen: list[int | None], deliveries: Deliveries) -> None:
        now = time.perf_counter()
        num_generated = num_prompted = 0
        for sequence, count, token in zip(batch.sequences, batch.counts, chosen, strict=True):
            if sequence.num_generated == 0:
                num_prompted += count
            sequence.num_cached += count
            if token is None:
                deliveries.append((sequence, Delta(error=_not_finite(sequence))))
                self._release(sequence, well=False)
            elif sequence.num_uncached == 0:
                num_generated += 1
                self._time(sequence, now)
                assert sequence.text is not None
                reason = self._accept(sequence, token)
                if reason is not None:
                    text, num_tokens = sequence.text.take()
                    deliveries.append((sequence, Delta(text, num_tokens, sequence.end(reason))))
                    self._release(sequence, well=True)
                elif now - sequence.sent_at >= self._chunk_interval_s and sequence.text.has_text:
                    sequence.sent_at = now
                    text, num_tokens = sequence.text.take()
                    deliveries.append((sequence, Delta(text, num_tokens)))
        if num_prompted:
            self.tally.prompted(num_prompted)
        if num_generated:
            self.tally.generated(num_generated, now)

    def _accept(self, sequence: Sequence, token: int) -> FinishReason | None:
        """Add the token to its sequence; why that ends it, if it does."""
        assert sequence.text is not None
        if token in self._eos_ids:
            sequence.text.finish()
            return FinishReason.END
        sequence.tokens.append(token)
        if sequence.text.push(token):
            return FinishReason.STOP
        if sequence.num_generated >= sequence.max_tokens:
            sequence.text.finish()
            return FinishReason.LENGTH
        return None

    def _time(self, sequence: Sequence, now: float) -> None:
        if sequence.token_at is None:
            self.tally.metrics.first_token_seconds.observe(now - sequence.submitted_at)
        else:
            self.tally.metrics.between_tokens_seconds.observe(now - sequence.token_at)
        sequence.token_at = now

    def _release(self, sequence: Sequence, *, well: bool) -> None:
        self._scheduler.release(sequence)
        self.tally.ended(well=well)
        self._close(1)

    def _close(self, num_sequences: int) -> None:
        with self._wake:
            self._num_open -= num_sequences


def _not_finite(sequence: Sequence) -> ModelError:
    assert sequence.slot is not None
    assert sequence.slot.manifest is not None
    return ModelError(f"version {sequence.slot.manifest.version} gave logits that are not finite")
