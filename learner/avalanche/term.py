"""One of Avalanche's plugins as a term of the strategy.

The learner's step is the loop: the plugin is called at the same points as in Avalanche's, sees the
live model, adds to the loss of each chunk (weighted by the chunk's share of the step, so that a
penalty counts once and a mean over the minibatch stays a mean) and may change the gradients of the
whole step before they are clipped.

**An experience** of an endless stream is a stretch of it: `experience_steps` steps, or with
`experience_by = source` one that ends sooner, when most documents of a step have another source
than when it began. At its end the plugin is shown a uniform sample of `experience_blocks` of its
new examples where a finite data set would be shown whole. A plugin that grows with each experience
gets MOST_EXPERIENCES; its last one does not end.

Random numbers that the plugin takes from global generators come from the step, and the generators
are put back. After each experience the plugin's state goes through the checkpoint's form once, so a
restart goes on from what a run that was never stopped goes on from.

Knows nothing of what the plugin computes. Called by `step.py` through `strategies/strategy.py`.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from learner.avalanche.names import MOST_EXPERIENCES, Asked
from learner.batch import Batch
from learner.losses import prediction_losses
from learner.memory import Memory
from learner.part import Part, Snapshot
from learner.recipe import Recipe
from learner.seeds import random_for, seed_of
from learner.strategies.term import Added, Said, Term
from riverrun.errors import CheckpointError

if TYPE_CHECKING:
    from learner.avalanche.template import Agent
    from learner.lesson import Lesson
    from learner.state import State

SAMPLE = "sample."
PLUGIN = "plugin"

log = logging.getLogger(__name__)


class Facts(msgspec.Struct, kw_only=True):
    """Where the plugin is, but for its own state."""

    name: str
    plugin: dict[str, Any] = {}
    clock: dict[str, int] = {}
    sample: str = ""
    is_open: bool = False
    num_steps: int = 0
    source: str | None = None
    num_drawn: int = 0


class AvalancheTerm(Term):
    """See the module. Raises InvalidValue when the plugin's state could not be kept."""

    def __init__(self, asked: Asked, recipe: Recipe, prefix: Sequence[int]) -> None:
        from learner.avalanche import library

        self._asked = asked
        self._recipe = recipe
        self._prefix = list(prefix)
        self.plugin = getattr(library.load(), asked.known.plugin)(**asked.arguments)
        self.sample = Memory(recipe.experience_blocks, recipe.block_tokens)
        self.agent: Agent | None = None
        self._facts = Facts(name=asked.name)
        self._restored: Snapshot | None = None
        self._iterator_at = 0
        self._state()

    @property
    def part(self) -> Part:
        return self

    # The step

    def begin(self, state: "State", lesson: "Lesson") -> None:
        agent = self._agent(state)
        with self._seeded(lesson):
            if self._is_over(lesson):
                self._end(agent)
            if not self._facts.is_open:
                self._open(agent, lesson)
            self._at_the_draw()
            agent.call("before_training_iteration")
            self._iterator_at += 1
        self._own(agent)
        state.optimizer.forget_gradients()

    def loss(self, batch: Batch, said: Said) -> Added | None:
        agent = self.agent
        share = float(batch.weights_N.sum()) if len(batch.weights_N) else 0.0
        if agent is None or share == 0.0 or not torch.is_grad_enabled():
            return None
        with torch.no_grad():
            weights_N = batch.weights_N / share
            mean = (prediction_losses(said.logits_NV, batch.targets_N) * weights_N).sum()
        agent.see(batch, said.logits_NV, mean.clone())
        for event in ("before_forward", "after_forward", "before_backward"):
            agent.call(event)
        added: Tensor = agent.loss - mean
        agent.forget()
        return Added(share * added) if added.requires_grad else None

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        agent = self._agent(state)
        # Counted here: a step that was given up before this line is begun anew.
        self._facts.num_drawn += 1
        with self._seeded(lesson):
            agent.call("after_backward")
            agent.call("before_update")

    def after_update(self, state: "State", lesson: "Lesson") -> None:
        agent = self._agent(state)
        with self._seeded(lesson):
            agent.call("after_update")
            agent.call("after_training_iteration")
        self._facts.num_steps += 1
        if lesson.work == "new":
            draws = random_for(lesson.seed, lesson.step, "experience")
            for one in lesson.shown:
                self.sample.add(one.examples, one.source, draws)

    # Experiences

    def _is_over(self, lesson: "Lesson") -> bool:
        facts, recipe = self._facts, self._recipe
        if not facts.is_open or not len(self.sample):
            return False
        has_moved = (
            recipe.experience_by == "source"
            and lesson.work == "new"
            and _source_of(lesson) != facts.source
        )
        if not has_moved and facts.num_steps < recipe.experience_steps:
            return False
        assert self.agent is not None
        return not self._asked.grows or self.agent.clock.train_exp_counter < MOST_EXPERIENCES

    def _open(self, agent: "Agent", lesson: "Lesson") -> None:
        facts = self._facts
        for event in ("before_training", "before_training_exp", "before_training_epoch"):
            agent.call(event)
        facts.is_open, facts.num_steps, facts.source = True, 0, _source_of(lesson)

    def _end(self, agent: "Agent") -> None:
        from learner.avalanche.rows import rows_of

        every = np.arange(len(self.sample), dtype=np.int64)
        agent.experienced(*rows_of(self.sample.examples(every), self._recipe.block_tokens))
        was_training = agent.model.training
        for event in ("after_training_epoch", "after_training_exp", "after_training"):
            agent.call(event)
        agent.model.train(was_training)
        agent.experience = None
        agent.model.zero_grad(set_to_none=True)
        self._own(agent)
        self.sample = Memory(self._recipe.experience_blocks, self._recipe.block_tokens)
        self._facts.is_open = False
        self._facts.num_drawn = 0
        self._put(self._state())
        number = agent.clock.train_exp_counter
        log.info("%s: experience %d is over", self._asked.name, number)
        if self._asked.grows and number == MOST_EXPERIENCES:
            log.warning(
                "%s keeps something of each experience: after %d the last one goes on for ever",
                self._asked.name,
                number,
            )

    def _own(self, agent: "Agent") -> None:
        """Make tensors that a plugin took for copies its own: on the CPU, `.cpu()` copies nothing,
        and Synaptic Intelligence would compare the weights with themselves."""
        if not self._asked.known.aliases:
            return
        live = {p.untyped_storage().data_ptr() for p in agent.model.parameters()}
        for data in [self.plugin.ewc_data[0], *self.plugin.syn_data.values()]:
            for param in data.values():
                if param.data.untyped_storage().data_ptr() in live:
                    param.data = param.data.clone()

    # Randomness

    @contextmanager
    def _seeded(self, lesson: "Lesson") -> Iterator[None]:
        seed = seed_of(lesson.seed, lesson.step, self._asked.name)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.set_rng_state(before[2])

    def _at_the_draw(self) -> None:
        """A-GEM's memory is an iterator: put it where this step's draw is."""
        if self._asked.name != "AGEM" or not self.plugin.buffers:
            return
        if self._iterator_at == self._facts.num_drawn:
            return
        self.plugin.buffer_dliter = iter(self.plugin.buffer_dataloader)
        for _ in range(self._facts.num_drawn):
            next(self.plugin.buffer_dliter)
        self._iterator_at = self._facts.num_drawn

    # The checkpoint's view

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return self._restored if self._restored is not None else self._state()

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        newest = snapshots[-1]
        facts = msgspec.json.decode(newest.facts, type=Facts)
        if facts.name != self._asked.name:
            raise CheckpointError(
                f"the checkpoint is of Avalanche's {facts.name}, not of {self._asked.name}"
            )
        self._restored = newest
        if self.agent is not None:
            self._put(newest)

    def _state(self) -> Snapshot:
        from learner.avalanche.plugin_state import attributes

        tensors: dict[str, Tensor] = {}
        facts = msgspec.structs.replace(
            self._facts,
            plugin=attributes(self.plugin, tensors, PLUGIN, self._asked.known.derived),
            clock={} if self.agent is None else dict(self.agent.clock.__dict__),
        )
        sample = self.sample.snapshot(whole=True)
        tensors |= {f"{SAMPLE}{name}": tensor for name, tensor in sample.tensors.items()}
        facts.sample = sample.facts.decode()
        return Snapshot(tensors, msgspec.json.encode(facts))

    def _put(self, snapshot: Snapshot) -> None:
        """Be what `snapshot` says. The model is needed: a plugin may hold a copy of it."""
        from learner.avalanche.plugin_state import put

        assert self.agent is not None
        facts = msgspec.json.decode(snapshot.facts, type=Facts)
        tensors = {
            name.removeprefix(SAMPLE): tensor
            for name, tensor in snapshot.tensors.items()
            if name.startswith(SAMPLE)
        }
        self.sample.restore([Snapshot(tensors, facts.sample.encode())])
        put(self.plugin, facts.plugin, snapshot.tensors, self.agent.model)
        self.agent.clock.__dict__.update(facts.clock)
        if self._asked.name == "AGEM" and self.plugin.buffers:
            # As the plugin makes it in `update_memory`.
            loader = _loaders().GroupBalancedInfiniteDataLoader
            size = self.plugin.sample_size // len(self.plugin.buffers)
            self.plugin.buffer_dataloader = loader(self.plugin.buffers, batch_size=size)
        self._facts = facts
        self._restored = None
        self._iterator_at = -1

    def _agent(self, state: "State") -> "Agent":
        if self.agent is None:
            from learner.avalanche.rows import RowModel
            from learner.avalanche.template import Agent

            model = RowModel(state.model, self._prefix, self._recipe.row_tokens)
            self.agent = Agent(model=model, plugin=self.plugin)
        if self._restored is not None:
            self._put(self._restored)
        return self.agent


def _source_of(lesson: "Lesson") -> str:
    """What most of a step's documents are from; of equals, the first."""
    return Counter(one.source for one in lesson.shown).most_common(1)[0][0]


def _loaders() -> Any:
    from learner.avalanche import library

    return library.load("avalanche.benchmarks.utils.data_loader")
