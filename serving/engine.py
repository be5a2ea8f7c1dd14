"""The one thread that owns model, cache and swap: schedule, run, postprocess.

Requests come in through `submit` and `cancel`, from any thread; answers leave through `deliver`,
which is given all that one step made and must only pass it on. Between two steps, and only
there, new weights go live and cancelled sequences lose their rows.

Knows nothing of sockets, protos or the store. Started by `serving/main.py`.
"""

import threading
import time
from collections.abc import Callable, Collection

from riverrun.errors import ModelError, NotServing, PinExpired
from riverrun.store import Manifest
from serving.admission import Admission
from serving.cache import SlottedCache
from serving.runner import Outcome, Runner
from serving.scheduler import Batch, Scheduler
from serving.sequence import Delta, End, FinishReason, Sequence, Switch
from serving.slots import Slots
from serving.tally import Age, Tally

Deliveries = list[tuple[Sequence, Delta]]

EXPIRY_PERIOD_S = 0.1
"""How often the age of pins is looked at."""


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
        max_waiting_tokens: int = 131_072,
        reuse_prefixes: bool = True,
        max_pin_s: float = 120.0,
    ) -> None:
        self.slots = slots
        self.cache = cache
        self.tally = tally
        self._eos_ids = frozenset(eos_ids)
        self._deliver = deliver
        self._on_swap = on_swap
        self._max_pin_s = max_pin_s
        self._expiry_at = 0.0
        self._chunk_interval_s = chunk_interval_s
        self._scheduler = Scheduler(
            slots,
            max_rows=cache.max_rows,
            prefill_tokens=prefill_tokens,
            reuse_prefixes=reuse_prefixes,
        )
        self._runner = Runner(cache)
        self._wake = threading.Condition()
        # Guarded by `_wake`:
        self._arrived: list[Sequence] = []
        self._has_cancelled = False
        self._stopping = False
        self._admission = Admission(
            max_rows=cache.max_rows,
            context_tokens=cache.context_tokens,
            max_waiting=max_waiting,
            max_waiting_tokens=max_waiting_tokens,
        )

    # From any thread

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its sink gets deltas up to one with an end or an error.

        Raises:
            Overloaded: more is open than may be (`admission.py`).
            NotServing: the engine has stopped.
        """
        with self._wake:
            if self._stopping:
                raise NotServing("the server stops")
            self._admission.open(sequence)
            sequence.submitted_at = time.perf_counter()
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
        return max(0, self._admission.num_open - self.num_rows)

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
        deliveries: Deliveries = []
        self._expire(deliveries)
        if self.slots.live is not None:
            admitted, copies = self._scheduler.admit()
            self._count_waits(admitted)
            if copies:
                self._runner.copy(copies)
            self._follow(deliveries)
        for batch in self._scheduler.schedule():
            self._postprocess(batch, self._runner.run(batch), deliveries)
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
            self._drop(self._scheduler.remove_cancelled())

    def _expire(self, deliveries: Deliveries) -> None:
        """End what holds old weights for too long, with the text so far."""
        now = time.monotonic()
        if now < self._expiry_at:
            return
        self._expiry_at = now + EXPIRY_PERIOD_S
        expired = self._scheduler.expired(now, self._max_pin_s)
        for sequence in expired:
            if sequence.text is not None:
                deliveries.append((sequence, _delta(sequence, None)))
            error = PinExpired(sequence.version, self._max_pin_s)
            deliveries.append((sequence, Delta(error=error)))
            self.tally.ended(well=False)
            self.tally.metrics.ended_early.labels("pin_expired").inc()
        if expired:
            self._scheduler.remove(expired)
            self._drop(expired)

    def _drop(self, removed: list[Sequence]) -> None:
        """These were taken out before their end; some never had a row."""
        self._count_waits([one for one in removed if one.row is None])
        self._close(removed)

    def _count_waits(self, sequences: list[Sequence]) -> None:
        """They wait for a row no longer."""
        now = time.perf_counter()
        for sequence in sequences:
            self.tally.waited(now - sequence.submitted_at)

    def _follow(self, deliveries: Deliveries) -> None:
        """Those that follow go on with the newest weights, and say so."""
        for sequence in self._scheduler.follow():
            deliveries.append((sequence, _delta(sequence, None)))
            switch = Switch(sequence.manifest, sequence.num_generated)
            sequence.switches.append(switch)
            deliveries.append((sequence, Delta(switched=switch)))

    def _postprocess(self, batch: Batch, outcomes: list[Outcome], deliveries: Deliveries) -> None:
        now = time.perf_counter()
        # One version's batch: found once, for a token is soon made.
        age = self.tally.age_of(batch.sequences[0].version)
        num_generated = num_prompted = num_recomputed = 0
        for sequence, count, outcome in zip(batch.sequences, batch.counts, outcomes, strict=True):
            num_left = sequence.num_uncached - count
            if sequence.num_generated == 0:
                num_prompted += count
                if sequence.num_cached == sequence.num_reused > 0:
                    self.tally.reused(sequence.num_reused)
            elif num_left + count > 1:
                num_recomputed += count
            sequence.num_cached += count
            if not outcome.is_finite:
                deliveries.append((sequence, Delta(error=_not_finite(sequence))))
                self._release(sequence, well=False)
            elif num_left > 0:
                continue
            elif sequence.task != "generate":
                deliveries.append((sequence, _finished(sequence, outcome)))
                self._release(sequence, well=True)
            else:
                num_generated += 1
                self._go_on(sequence, outcome, age, now, deliveries)
        if num_prompted:
            self.tally.prompted(num_prompted)
        if num_recomputed:
            self.tally.recomputed(num_recomputed)
        if num_generated:
            self.tally.generated(num_generated, now)

    def _go_on(
        self, sequence: Sequence, outcome: Outcome, age: Age, now: float, deliveries: Deliveries
    ) -> None:
        """One token more: keep it, send what is due, end what ends."""
        assert outcome.token is not None
        if sequence.num_generated == 0:
            self._scheduler.hold_prompt(sequence)
            if sequence.follows:
                sequence.switches.append(Switch(sequence.manifest, 0))
        self._time(sequence, age, now)
        reason = self._accept(sequence, outcome.token)
        if outcome.logprob is not None and reason is not FinishReason.END:
            sequence.logprobs.append(outcome.logprob)
        assert sequence.text is not None
        if reason is not None:
            deliveries.append((sequence, _delta(sequence, sequence.end(reason))))
            self._release(sequence, well=True)
        elif now - sequence.sent_at >= self._chunk_interval_s and sequence.text.has_text:
            sequence.sent_at = now
            deliveries.append((sequence, _delta(sequence, None)))

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

    def _time(self, sequence: Sequence, age: Age, now: float) -> None:
        is_first = sequence.token_at is None
        since = sequence.arrived_at if sequence.token_at is None else sequence.token_at
        self.tally.token(age, now - since, is_first=is_first)
        sequence.token_at = now

    def _release(self, sequence: Sequence, *, well: bool) -> None:
        self._scheduler.release(sequence)
        if not well:
            assert sequence.row is not None
            self._scheduler.forget(sequence.row)
        if not (well and sequence.is_weighing):
            self.tally.ended(well=well)
        self._close([sequence])

    def _close(self, sequences: list[Sequence]) -> None:
        with self._wake:
            self._admission.close(sequences)


def _delta(sequence: Sequence, end: End | None) -> Delta:
    """What has gathered since the last one."""
    assert sequence.text is not None
    text, num_tokens = sequence.text.take()
    logprobs = tuple(sequence.logprobs)
    sequence.logprobs.clear()
    return Delta(text, num_tokens, end, logprobs=logprobs)


def _finished(sequence: Sequence, outcome: Outcome) -> Delta:
    """The one delta of a sequence that generates nothing."""
    scores = tuple(sequence.scores) if sequence.task == "score" else None
    end = sequence.end(FinishReason.END)
    return Delta(end=end, scores=scores, embedding=outcome.embedding)


def _not_finite(sequence: Sequence) -> ModelError:
    return ModelError(f"version {sequence.version} gave logits that are not finite")
