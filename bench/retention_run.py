"""One model that learns a stream of languages, and what that costs. What it is asked is not part
of its learning. Called by `retention.py`, which says what is counted.
"""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from learner.arrival import Arrival
from learner.assembly import Assembly
from learner.origin import Origin
from learner.recipe import Recipe
from learner.state import State
from learner.watch.surprise import Surprise
from riverrun.model import files
from riverrun.records import Document
from riverrun.tokenizer import Tokenizer

SEED = 1
AGEM_SAMPLE = 16
"""Blocks of A-GEM's reference gradient in each step, as few as the adapter allows."""


class Run:
    """seconds: of its steps. num_taught: tokens that a teacher reads only."""

    def __init__(self, model_files: Path, recipe: Recipe) -> None:
        model = files.load(model_files, torch.float32, torch.device("cpu"))
        assembly = Assembly(recipe, SEED, model, Tokenizer(model_files))
        self.recipe = recipe
        self.state: State = assembly.state
        self.stepper = assembly.stepper(Origin.empty())
        self.seconds = 0.0
        self.num_parameters = sum(p.numel() for p in model.parameters())
        self.num_steps = 0
        self.num_trained = 0
        self.num_taught = 0
        self._served = self.state.average.teacher(model)
        self._surprise = Surprise(assembly.framing, recipe)
        self._offset = 0
        self._sources: set[str] = set()

    def learn(self, texts: Sequence[str], source: str) -> None:
        """One step of new text."""
        arrivals = [
            Arrival(
                0,
                self._offset + i,
                self._offset + i,
                0,
                Document(text=text, source=source, timestamp_ms=0),
            )
            for i, text in enumerate(texts)
        ]
        self._offset += len(texts)
        self._sources.add(source)
        self._step(arrivals)

    @property
    def num_due(self) -> int:
        return len(self.state.rehearsal)

    def rehearse(self) -> int:
        """One pass over what is due, as the learner goes on when nothing waits; the bytes of it."""
        due = self.state.rehearsal.documents()
        least = min(one.num_passes for one in due)
        num_bytes = sum(len(one.text.encode()) for one in due if one.num_passes == least)
        while any(one.num_passes == least for one in self.state.rehearsal.documents()):
            self._step([])
        return num_bytes

    def _step(self, arrivals: Sequence[Arrival]) -> None:
        began = time.perf_counter()
        report = self.stepper.step(self.state, arrivals)
        self.seconds += time.perf_counter() - began
        assert report is not None, "nothing stops it"
        self.num_steps += 1
        self.num_trained += sum(report.num_tokens.values())
        if "distill" in self.recipe.strategy:
            self.num_taught += report.num_tokens["memory"]
        if "LwF" in self.recipe.strategy and len(self._sources) > 1:
            self.num_taught += report.num_tokens["new"]
        if "AGEM" in self.recipe.strategy and len(self._sources) > 1:
            self.num_trained += AGEM_SAMPLE * self.recipe.block_tokens

    @torch.no_grad()
    def nats(self, texts: Sequence[str]) -> float:
        """Of the served weights."""
        return sum(self._surprise.nats(self._served, texts))

    def bits_per_byte(self, texts: Sequence[str]) -> float:
        return self.nats(texts) / math.log(2) / sum(len(text.encode()) for text in texts)

    @property
    def flops(self) -> float:
        return self.num_parameters * (6.0 * self.num_trained + 2.0 * self.num_taught)


def steps_of(texts: Sequence[str], max_step_tokens: int) -> Iterator[list[str]]:
    """As the loop gathers them when it is behind."""
    group: list[str] = []
    filled = 0
    for text in texts:
        length = len(text.encode()) + 2
        if group and filled + length > max_step_tokens:
            yield group
            group, filled = [], 0
        group.append(text)
        filled += length
    if group:
        yield group
