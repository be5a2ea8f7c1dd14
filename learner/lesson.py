"""What one step shows the model: its documents, some of what it learned, some of the origin.

Everything is chosen from the state and the step's seed, so that a step that is done again after a
crash shows the same. Weights make the step's loss a mean over all that it predicts.

Knows nothing of losses or gradients. Called by `step.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np

from learner.arrival import Arrival
from learner.batch import Anchor, Text
from learner.content import Content, Messages, content_of, told
from learner.framing import Example, Framing
from learner.memory import Sampled
from learner.origin import Origin
from learner.recipe import Recipe
from learner.rehearsal import Due
from learner.seeds import Random, random_for
from learner.state import State
from learner.strategies.strategy import Strategy
from learner.study import Student
from learner.study_pair import Pair

NOTHING = Sampled(np.zeros(0, np.int64), [])
STUDIED_AT_ONCE = 6
"""Documents whose questions are written together, however few of them a step shows: written two by
two, one costs twice as much. Twelve would save a sixth, and that step would take twice as long."""

Work = Literal["new", "rehearsal"]


class Shown(NamedTuple):
    """A document in this step. `number` is its due number, None for a new one.

    pairs: questions on the text, once the model has written them.
    raw: partition and raw offset that it came from, if these are known.
    messages: of a conversation; `text` is then their contents.
    """

    text: str
    source: str
    number: int | None
    examples: list[Example]
    pairs: list[Pair] | None = None
    raw: tuple[int, int] | None = None
    messages: Messages | None = None
    asked: Sequence[int] = ()

    @property
    def content(self) -> Content:
        return self.text if self.messages is None else self.messages

    @property
    def told(self) -> str:
        """What of it is to be predicted."""
        return told(self.content)

    @property
    def num_targets(self) -> int:
        return sum(example.num_targets for example in self.examples)


class Lesson(NamedTuple):
    """A text's owner is the index of its document in `shown`; replayed texts own the one after.

    seed: the run's.
    studied: questions that were written for this step and the next ones, by the due number of
    their document.
    recalled: pairs that are asked again; their texts come first of those that are replayed.
    """

    seed: int
    step: int
    work: Work
    shown: list[Shown]
    studied: dict[int, list[Pair]]
    recalled: list[Pair]
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
        self._student = Student(framing.tokenizer, recipe) if framing.study_pairs else None

    def plan(self, state: State, arrivals: Sequence[Arrival], step: int) -> Lesson:
        """The lesson of `step`: on `arrivals` or, without any, on due documents."""
        share = self._replay_share(state, is_new=bool(arrivals))
        studied: dict[int, list[Pair]] = {}
        if arrivals:
            shown = self._new(arrivals, step)
        else:
            chosen = self._chosen(state, share, step)
            studied = self._studied(state, chosen)
            random = random_for(self._seed, step, "framing")
            shown = [self._rehearsed(state, due, studied, random) for due in chosen]
        texts = [
            Text(example, self._weight(example), owner)
            for owner, one in enumerate(shown)
            for example in one.examples
        ]
        replayed = self._replayed(state, len(texts), share, step)
        recalled = self._recalled(state, len(texts), step)
        texts += [
            Text(example, self._weight(example), len(shown))
            for example in map(self._framing.answered, recalled)
        ]
        texts += [
            Text(example, self._weight(example), len(shown), slot)
            for slot, example in zip(replayed.slots.tolist(), replayed.examples, strict=True)
        ]
        whole = sum(text.weight * text.example.num_targets for text in texts)
        return Lesson(
            seed=self._seed,
            step=step,
            work="new" if arrivals else "rehearsal",
            shown=shown,
            studied=studied,
            recalled=recalled,
            texts=[text._replace(weight=text.weight / whole) for text in texts],
            anchors=self._anchors(texts, step),
        )

    def _new(self, arrivals: Sequence[Arrival], step: int) -> list[Shown]:
        random = random_for(self._seed, step, "framing")
        return [
            Shown(
                arrival.document.text,
                arrival.document.source,
                None,
                self._framing.examples(content_of(arrival.document), 0, random),
                raw=(arrival.partition, arrival.raw_offset),
                messages=arrival.document.messages,
            )
            for arrival in arrivals
        ]

    def _replay_share(self, state: State, *, is_new: bool) -> float:
        """Due documents are the past themselves: where all that was ever learned is due, nothing
        has to be replayed beside them; where few are, as much as beside new text."""
        if not self._strategy.uses_memory:
            return 0.0
        share = self._recipe.replay_share
        if is_new:
            return share
        return share * max(0.0, 1 - state.rehearsal.num_blocks / max(1, state.memory.num_seen))

    def _chosen(self, state: State, share: float, step: int) -> list[Due]:
        """In steps as large as those of new text, with what is replayed there."""
        usual = self._recipe.replay_share if self._strategy.uses_memory else 0.0
        room = round(self._recipe.max_step_tokens * (1 - share) / (1 - usual))
        chosen = state.rehearsal.choose(room, random_for(self._seed, step, "due"))
        assert chosen, "a rehearsal step has something to rehearse"
        return chosen

    def _rehearsed(
        self, state: State, due: Due, studied: Mapping[int, list[Pair]], random: Random
    ) -> Shown:
        pairs = studied.get(due.number, due.pairs)
        asked: list[int] = []
        if pairs and self._framing.needs_study(due.num_passes):
            asked = state.rehearsal.ask(
                due,
                pairs,
                self._recipe.study_pairs,
                random,
                known_too=not self._framing.asks_unknown(due.num_passes),
            )
        shown = [pairs[i] for i in asked] if pairs else []
        examples = self._framing.examples(due.content, due.num_passes, random, shown)
        return Shown(
            due.text, due.source, due.number, examples, pairs, due.raw, due.messages, asked
        )

    def _studied(self, state: State, chosen: Sequence[Due]) -> dict[int, list[Pair]]:
        """Questions for those that this pass asks first, and for others of their language that will
        be asked next."""
        waiting = [due for due in chosen if self._awaits_study(due)]
        if not waiting or self._student is None:
            return {}
        taken, language = {due.number for due in waiting}, waiting[0].language
        others = (
            due
            for due in state.rehearsal.documents()
            if due.number not in taken and due.language == language and self._awaits_study(due)
        )
        waiting += islice(others, max(0, STUDIED_AT_ONCE - len(waiting)))
        known = [*state.notebook.pairs(), *state.rehearsal.pairs()]
        written = self._student.study(state.model, [due.text for due in waiting], known)
        return {
            due.number: [pair for pair in its if self._framing.fits(pair)]
            for due, its in zip(waiting, written, strict=True)
        }

    def _awaits_study(self, due: Due) -> bool:
        its_turn = self._framing.needs_study(due.num_passes)
        return its_turn and due.pairs is None and due.messages is None

    def _recalled(self, state: State, num_texts: int, step: int) -> list[Pair]:
        """Questions of documents that are due no more."""
        wanted = beside(num_texts, self._recipe.recall_share)
        return state.notebook.draw(wanted, step, random_for(self._seed, step, "notebook"))

    def _replayed(self, state: State, num_texts: int, share: float, step: int) -> Sampled:
        if not self._strategy.uses_memory:
            return NOTHING
        wanted = beside(num_texts, share)
        return state.memory.sample(wanted, random_for(self._seed, step, "memory"))

    def _anchors(self, texts: Sequence[Text], step: int) -> list[Anchor]:
        """As many tokens of the origin as of text, up to the recipe's number of texts: the step
        costs twice the bare one at most."""
        if not self._strategy.uses_origin:
            return []
        random = random_for(self._seed, step, "origin")
        return self._origin.sample(
            self._recipe.origin_per_step,
            self._recipe.origin_weight,
            random,
            max_tokens=sum(len(text.example.tokens) for text in texts),
        )

    def _weight(self, example: Example) -> float:
        """Of each target of an example."""
        return 1.0 / example.num_targets if self._recipe.weighting == "examples" else 1.0


def beside(num_texts: int, share: float) -> int:
    """How many old examples make `share` of the whole with `num_texts` new ones."""
    return round(num_texts * share / (1 - share))
