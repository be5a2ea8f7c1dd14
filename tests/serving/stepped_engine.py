"""An engine without its thread: the test says when a step happens, and when a swap.

Weights go straight into the slots, through the same `stage`, `load_into` and `offer` as the
watcher's.
"""

from typing import Any, Literal

from prometheus_client import CollectorRegistry

from riverrun.metrics import ServingMetrics
from riverrun.store import Manifest
from serving.answer_text import AnswerText
from serving.cache import SlottedCache
from serving.engine import Deliveries, Engine
from serving.sampling import Sampling
from serving.sequence import Delta, Sequence
from serving.slots import Slots
from serving.tally import Tally
from serving.weights import load_into
from tests.serving.published import CONFIG, Published


class SteppedEngine:
    """What a test needs of an engine, by hand."""

    def __init__(self, published: Published, **options: Any) -> None:
        options = {
            "max_rows": 4,
            "context_tokens": 128,
            "max_waiting": 8,
            "prefill_tokens": 16,
            "chunk_interval_s": 0.0,
            **options,
        }
        self.published = published
        self.deltas: dict[Sequence, list[Delta]] = {}
        self.swapped: list[Manifest] = []
        self.tally = Tally(ServingMetrics(CollectorRegistry()))
        self.slots = Slots(CONFIG, precision=options.pop("precision", "float32"))
        self.engine = Engine(
            self.slots,
            SlottedCache(
                CONFIG,
                max_rows=options.pop("max_rows"),
                context_tokens=options.pop("context_tokens"),
            ),
            self.tally,
            eos_ids=published.tokenizer.eos_ids,
            deliver=self._deliver,
            on_swap=self.swapped.append,
            **options,
        )

    def _deliver(self, deliveries: Deliveries) -> None:
        for sequence, delta in deliveries:
            sequence.sink(delta)

    def offer(self, version: str) -> None:
        """Load a published version; it goes live with the next step."""
        slot = self.slots.stage(0.0)
        assert slot is not None, "no slot is free"
        with self.published.store.weights(version) as path:
            load_into(slot.model, path, version)
        self.engine.offer(self.published.store.manifest(version))

    def submit(
        self,
        prompt: str,
        max_tokens: int = 12,
        sampling: Sampling | None = None,
        stops: tuple[str, ...] = (),
        num_logprobs: int | None = None,
        *,
        follows: bool = False,
        client: str = "",
    ) -> Sequence:
        sequence = Sequence(
            tokens=self.published.tokenizer.encode(prompt),
            num_logprobs=num_logprobs,
            follows=follows,
            client=client,
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            text=AnswerText(self.published.tokenizer, stops),
            sink=(deltas := list[Delta]()).append,
        )
        self.deltas[sequence] = deltas
        self.engine.submit(sequence)
        return sequence

    def ask(self, task: Literal["score", "embed"], prompt: str, first_target: int = 1) -> Sequence:
        """Submit a sequence that generates nothing."""
        sequence = Sequence(
            tokens=self.published.tokenizer.encode(prompt),
            task=task,
            first_target=first_target,
            sink=(deltas := list[Delta]()).append,
        )
        self.deltas[sequence] = deltas
        self.engine.submit(sequence)
        return sequence

    def finish(self, max_steps: int = 2000) -> None:
        """Step until nothing runs or waits."""
        for _ in range(max_steps):
            self.engine.step()
            if self.engine.num_rows + self.engine.num_waiting == 0:
                return
        raise AssertionError(f"not finished after {max_steps} steps")

    def ids(self, sequence: Sequence) -> list[int]:
        """The answer's tokens so far."""
        return sequence.tokens[sequence.num_prompt_tokens :]

    def text(self, sequence: Sequence) -> str:
        return "".join(delta.text for delta in self.deltas[sequence])

    def last(self, sequence: Sequence) -> Delta:
        return self.deltas[sequence][-1]
