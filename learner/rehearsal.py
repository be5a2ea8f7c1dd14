"""Which documents are still due: seen, but not yet known.

One pass teaches a style, not a fact. A document stays due until the model knows it or until its
passes are spent. One with study questions is known once each answer is: when the dearest of its
tokens cost less than the target, so that greedy decoding says it. The mean over an answer would
hide the name in it, since the rest repeats the question; of an open question, which has many
answers, the mean decides. One without questions is known when its own loss is under the target.
Those shown least come first, so repetitions of one document lie as far apart as they can; of a
document's questions those not known yet come first.

Knows nothing of the model; the step tells it the losses.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from learner.content import Content, Messages
from learner.part import Snapshot
from learner.recipe import Recipe
from learner.seeds import Random
from learner.study_languages import language_of
from learner.study_pair import Outdated, Pair, outdated_by
from riverrun.errors import CheckpointError

NEVER_ASKED = 1e3
"""The cost of an answer that was not asked for yet: JSON knows no infinity."""

Retired = Literal["known", "passes", "crowded", "non_finite", "budget"]


class Due(msgspec.Struct):
    """A document that will be shown again. `loss` is that of its last pass, before learning.

    pairs: questions on it, from the pass on that first needed them.
    raw: partition and raw offset that it came from. messages: of a conversation.
    costs: of each pair, the dearest token of its answer when it was last asked, nats.
    language: in which it is to be asked about.
    """

    number: int
    text: str
    source: str
    num_passes: int
    num_tokens: int
    loss: float
    pairs: list[Pair] | None = None
    raw: tuple[int, int] | None = None
    messages: Messages | None = None
    costs: list[float] = []
    language: str = ""

    @property
    def content(self) -> Content:
        return self.text if self.messages is None else self.messages

    @property
    def num_characters(self) -> int:
        """That it takes; a conversation's contents are here twice."""
        return len(self.text) * (1 if self.messages is None else 2)

    def cost(self, pair: int) -> float:
        return self.costs[pair] if pair < len(self.costs) else NEVER_ASKED


class Changes(msgspec.Struct, kw_only=True):
    """Of the due documents, since a snapshot: new or shown ones, those that are due no more."""

    next_number: int
    due: list[Due]
    gone: list[int] = []


class Rehearsal:
    """The due documents, oldest first. A part of the state."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._due: dict[int, Due] = {}
        self._next_number = 0
        self._num_characters = 0
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._due)

    def admit(
        self,
        text: str,
        source: str,
        num_tokens: int,
        loss: float,
        raw: tuple[int, int] | None = None,
        messages: Messages | None = None,
    ) -> list[Retired]:
        """Take in a document after its first pass; gives why documents are due no more."""
        why = self._verdict(1, loss)
        if why is not None:
            return [why]
        due = Due(self._next_number, text, source, 1, num_tokens, loss, raw=raw, messages=messages)
        if self._recipe.study_pairs:
            due.language = language_of(text).name
        self._next_number += 1
        self._due[due.number] = due
        self._changed.add(due.number)
        self._num_characters += due.num_characters
        crowded: list[Retired] = []
        while self._due and (
            len(self._due) > self._recipe.max_due_documents
            or self._num_characters > self._recipe.max_due_characters
        ):
            self._remove(next(iter(self._due)))
            crowded.append("crowded")
        return crowded

    @property
    def num_blocks(self) -> int:
        """That all due documents come to, as the memory counts them."""
        block = self._recipe.block_tokens
        return sum(-(-due.num_tokens // block) for due in self._due.values())

    def choose(self, max_tokens: int, random: Random) -> list[Due]:
        """The documents of the next rehearsal step, one at least; nothing changes until `shown`.

        Those that have no questions yet lie beside others of their language: written together,
        questions cost half.
        """
        order = random.permutation(len(self._due))

        def place(pair: tuple[Due, int]) -> tuple[int, str, int]:
            due, at_random = pair
            return due.num_passes, due.language if due.pairs is None else "", at_random

        waiting = sorted(zip(self._due.values(), order.tolist(), strict=True), key=place)
        chosen: list[Due] = []
        num_tokens = 0
        for due, _ in waiting:
            full = num_tokens + due.num_tokens > max_tokens
            if chosen and (full or len(chosen) >= self._recipe.rehearsal_documents):
                break
            chosen.append(due)
            num_tokens += due.num_tokens
        return chosen

    def ask(
        self,
        due: Due,
        pairs: Sequence[Pair],
        num_wanted: int,
        random: Random,
        *,
        known_too: bool = True,
    ) -> list[int]:
        """Which of a document's questions this pass shows, at random: unknown ones first, and those
        alone unless `known_too`."""
        order = [int(i) for i in random.permutation(len(pairs))]
        unknown = [i for i in order if due.cost(i) >= self._recipe.target_loss]
        if unknown and not known_too:
            return unknown[:num_wanted]
        return [*unknown, *(i for i in order if i not in unknown)][:num_wanted]

    def pairs(self) -> list[Pair]:
        """Of all due documents, oldest first."""
        return _pairs_of(self.documents())

    def studied(self, number: int, pairs: list[Pair]) -> None:
        """These are the questions on a due document, none of them asked so far."""
        self._due[number].pairs = pairs
        self._changed.add(number)

    def strike(self, number: int, outdated: Sequence[Outdated]) -> list[Outdated]:
        """A document has its questions now: of what two due ones say differently, the older one is
        not asked any more, in whatever words. Gives what holds no longer.

        outdated: what the notes say otherwise than it.
        """
        its = self._due.get(number)
        if its is None:
            return list(outdated)
        older = [due for due in self._due.values() if due.number < number]
        newer = [due for due in self._due.values() if due.number > number]
        found = [*outdated, *outdated_by(its.pairs or [], _pairs_of(older))]
        self._forget(found, older)
        self._forget(outdated_by(_pairs_of(newer), its.pairs or []), [its])
        return found

    def _forget(self, outdated: Sequence[Outdated], documents: Sequence[Due]) -> None:
        for due in documents if outdated else []:
            pairs = due.pairs or []
            kept = [i for i, pair in enumerate(pairs) if not any(o.is_in(pair) for o in outdated)]
            if len(kept) < len(pairs):
                due.costs = [due.cost(i) for i in kept]
                due.pairs = [pairs[i] for i in kept]
                self._changed.add(due.number)

    def shown(
        self,
        number: int,
        loss: float,
        costs: Mapping[int, float] | None = None,
    ) -> Retired | None:
        """A due document had one more pass; gives why it is due no more, if it is not.

        costs: by the index of each pair that was asked, of the dearest token of its answer.
        """
        due = self._due[number]
        self._changed.add(number)
        due.num_passes += 1
        due.loss = loss
        if due.pairs:
            due.costs = [(costs or {}).get(i, due.cost(i)) for i in range(len(due.pairs))]
        why = self._verdict(due.num_passes, max(due.costs, default=loss))
        if why is not None:
            self._remove(number)
        return why

    def drop(self, number: int) -> None:
        """It must not be shown again."""
        self._remove(number)

    def clear(self) -> int:
        """Nothing is due any more; gives how many documents were."""
        numbers = list(self._due)
        for number in numbers:
            self._remove(number)
        return len(numbers)

    def _verdict(self, num_passes: int, loss: float) -> Retired | None:
        """loss: of what is known worst."""
        if loss < self._recipe.target_loss:
            return "known"
        return "passes" if num_passes >= self._recipe.max_passes else None

    def _remove(self, number: int) -> None:
        self._num_characters -= self._due.pop(number).num_characters
        self._changed.add(number)

    # The checkpoint's view

    def documents(self) -> list[Due]:
        return list(self._due.values())

    @property
    def next_number(self) -> int:
        return self._next_number

    def snapshot(self, *, whole: bool) -> Snapshot:
        """Texts can be many megabytes: after the first time, only those that changed."""
        changed = sorted(self._changed)
        self._changed.clear()
        if whole:
            changes = Changes(next_number=self._next_number, due=self.documents())
        else:
            changes = Changes(
                next_number=self._next_number,
                due=[self._due[number] for number in changed if number in self._due],
                gone=[number for number in changed if number not in self._due],
            )
        return Snapshot({}, msgspec.json.encode(changes), whole)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            told = [msgspec.json.decode(one.facts, type=Changes) for one in snapshots]
        except msgspec.DecodeError as error:
            raise CheckpointError(str(error)) from error
        self._due = {}
        for changes in told:
            self._due.update((due.number, due) for due in changes.due)
            for number in changes.gone:
                self._due.pop(number, None)
        self._next_number = told[-1].next_number
        self._num_characters = sum(due.num_characters for due in self._due.values())
        self._changed.clear()


def _pairs_of(documents: Iterable[Due]) -> list[Pair]:
    return [pair for due in documents for pair in due.pairs or []]
