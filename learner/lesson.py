"""What one step shows the model: its documents, some of the memory, some of the origin.

Everything is chosen from the state and the step's seed, so that a step that is done again after a
crash shows the same. Weights make the step's loss a mean over all that it predicts.

Knows nothing of losses or gradients. Called by `step.py`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from learner.arrival import Arrival
from learner.batch import Anchor, Text
from learner.framing import Example, Framing
from learner.origin import Origin
from learner.recipe import Recipe
from learner.seeds import random_for
from learner.state import State
from learner.strategies.protocol import Strategy

Work = Literal["new", "rehearsal"]


class Shown(NamedTuple):
    """A document in this step. `number` is its due number, None for a new one."""

    text: str
    source: str
    number: int | None
    examples: list[Example]

    @property
    def num_targets(self) -> int:
        return sum(example.num_targets for example in self.examples)


class Lesson(NamedTuple):
    """A text's owner is the index of its document in `shown`; replayed texts own the one after."""

    step: int
    work: Work
    shown: list[Shown]
    texts: list[Text]
    anchors: list[Anchor]

    def num_tokens(self) -> Counter[str]:
        """Predicted tokens by part: `new` or `rehearsal`, `memory`, `origin`."""
        own = [t for t in self.texts if t.owner < len(self.shown)]
        replayed = [t for t in self.texts if t.owner == len(self.shown)]
        counted: Counter[str] = Counter({self.work: sum(t.example.num_targets for t in own)})
        counted["memory"] = sum(t.example.num_targets for t in replayed)
        counted["origin"] = sum(a.example.num_targets for a in self.anchors)
        return counted


class Planner:
    """Plans lessons; all that it knows stays the same from step to step."""

    def __init__(
        self, recipe: Recipe, seed: int, framing: Framing, strategy: Strategy, origin: Origin
    ) -> None:
        self._recipe = recipe
        self._seed = seed
        self._framing = framing
        self._strategy = strategy
        self._origin = origin

    def plan(self, state: State, arrivals: Sequence[Arrival], step: int) -> Lesson:
        """The lesson of `step`: on `arrivals` or, without any, on due documents."""
        shown = self._new(arrivals, step) if arrivals else self._due(state, step)
        texts = [
            Text(example, self._weight(one.num_targets), owner)
            for owner, one in enumerate(shown)
            for example in one.examples
        ]
        texts += [
            Text(example, self._weight(example.num_targets), len(shown))
            for example in self._replayed(state, len(texts), step)
        ]
        whole = sum(text.weight * text.example.num_targets for text in texts)
        return Lesson(
            step=step,
            work="new" if arrivals else "rehearsal",
            shown=shown,
            texts=[text._replace(weight=text.weight / whole) for text in texts],
            anchors=self._anchors(step),
        )

    def _new(self, arrivals: Sequence[Arrival], step: int) -> list[Shown]:
        random = random_for(self._seed, step, "framing")
        documents = [arrival.document for arrival in arrivals]
        return [
            Shown(d.text, d.source, None, self._framing.examples(d.text, 0, random))
            for d in documents
        ]

    def _due(self, state: State, step: int) -> list[Shown]:
        chosen = state.rehearsal.choose(random_for(self._seed, step, "due"))
        assert chosen, "a rehearsal step has something to rehearse"
        random = random_for(self._seed, step, "framing")
        return [
            Shown(d.text, d.source, d.number, self._framing.examples(d.text, d.num_passes, random))
            for d in chosen
        ]

    def _replayed(self, state: State, num_texts: int, step: int) -> list[Example]:
        if not self._strategy.uses_memory:
            return []
        share = self._recipe.replay_share
        wanted = round(num_texts * share / (1 - share))
        return state.memory.sample(wanted, random_for(self._seed, step, "memory"))

    def _anchors(self, step: int) -> list[Anchor]:
        if not self._strategy.uses_origin:
            return []
        random = random_for(self._seed, step, "origin")
        return self._origin.sample(self._recipe.origin_per_step, self._recipe.origin_weight, random)

    def _weight(self, num_targets: int) -> float:
        """Of each target of a document that has `num_targets`."""
        return 1.0 / num_targets if self._recipe.weighting == "documents" else 1.0
