"""A model that learns as the learner does, from texts at hand: steps, rehearsal, journal and gate.

Not in it: Kafka, checkpoints, and the store; `served` gives what the newest promoted version holds.
Called by `facts.py`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from bench.gatekeeper import Gatekeeper
from learner.arrival import Arrival, ranges_of
from learner.assembly import Assembly
from learner.content import content_of
from learner.entries import Learned
from learner.journal import Journal
from learner.origin import Origin
from learner.origin_fill import fill
from learner.recipe import Kind, Recipe
from learner.state import State
from riverrun.model import files
from riverrun.records import Document
from riverrun.settings import Settings
from riverrun.tokenizer import Tokenizer


class Classroom:
    """A model that learns as the learner does, without Kafka. Use as a context manager."""

    def __init__(self, model_files: Path, tokenizer: Tokenizer, recipe: Recipe, seed: int) -> None:
        model = files.load(model_files, torch.float32, torch.device("cpu"))
        self.recipe = recipe
        self._seed = seed
        self.assembly = Assembly(recipe, seed, model, tokenizer)
        self.state: State = self.assembly.state
        self._scratch = tempfile.TemporaryDirectory(prefix="riverrun-bench-")
        self._journal = Journal(Path(self._scratch.name))
        self.seconds = 0.0
        self.processor_s = 0.0
        self.num_tokens = 0
        self.num_pass = 0
        self._offset = 0
        self._gate: Gatekeeper | None = None

    def prepare(self, gated_as: Kind | None = None) -> None:
        """Fill the origin memory, and have each version judged from now on, both of the untouched
        model. gated_as: its kind; None serves whatever was learned."""
        recipe, model = self.recipe, self.state.model
        uses = self.assembly.strategy.uses_origin
        origin = fill(model, self.assembly.framing, recipe, self._seed) if uses else Origin.empty()
        assert origin is not None, "nothing stops it"
        self._stepper = self.assembly.stepper(origin)
        if gated_as is not None:
            directory = Path(self._scratch.name)
            self._gate = Gatekeeper(gated_as, self.assembly, self._journal, directory, Settings())

    def tell(self, texts: Sequence[str]) -> None:
        """New documents, in steps as the loop gathers them when they wait: the first pass."""
        self.num_pass = 1
        group: list[Arrival] = []
        num_tokens = 0
        for text in texts:
            length = self.assembly.framing.num_tokens(text)
            if group and num_tokens + length > self.recipe.max_step_tokens:
                self._step(group)
                group, num_tokens = [], 0
            document = Document(text=text, source="facts", timestamp_ms=0)
            group.append(Arrival(0, self._offset, self._offset, 0, document))
            self._offset += 1
            num_tokens += length
        if group:
            self._step(group)
        self._judge("new text")

    def rehearse(self) -> bool:
        """One more pass over what is due; false when nothing is."""
        if not len(self.state.rehearsal):
            return False
        self.num_pass += 1
        while any(due.num_passes < self.num_pass for due in self.state.rehearsal.documents()):
            self._step([])
        self._judge("rehearsal")
        return True

    def served(self, share: float | None = None) -> Mapping[str, Tensor]:
        """What is served; with a share of the origin's weights, what would be at that share,
        whatever the gate says."""
        if share is not None:
            return self.state.blend.at(share, self.state.average.weights())
        return self.state.served() if self._gate is None else self._gate.served

    @property
    def num_held(self) -> int:
        """Versions that the gate did not promote."""
        decisions = [] if self._gate is None else self._gate.decisions
        return sum(decided.verdict != "promote" for decided in decisions)

    def __enter__(self) -> "Classroom":
        return self

    def __exit__(self, *error: object) -> None:
        self._journal.close()
        self._scratch.cleanup()

    def _step(self, arrivals: Sequence[Arrival]) -> None:
        with self._timed():
            report = self._stepper.step(self.state, arrivals)
            assert report is not None, "nothing stops it"
            self._journal.append(Learned(report.step, ranges_of(arrivals)))
        self.num_tokens += sum(report.num_tokens.values())
        if self._gate is not None:
            self._gate.see(report, [content_of(one.document) for one in arrivals])

    def _judge(self, occasion: str) -> None:
        if self._gate is not None:
            with self._timed():
                self._gate.judge(occasion)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began, worked = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - began
        self.processor_s += time.process_time() - worked
