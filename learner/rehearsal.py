"""Which documents are still due: seen, but not yet known.

One pass teaches a style, not a fact. A document stays due until the model predicts it well enough
(its own loss is under the target) or until its passes are spent. Those shown least come first, so
repetitions of one document lie as far apart as they can.

Knows nothing of the model; the step tells it the losses.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from learner.content import Content, Messages
from learner.part import Snapshot
from learner.recipe import Recipe
from learner.seeds import Random
from learner.study import Pair
from riverrun.errors import CheckpointError

Retired = Literal["known", "passes", "crowded", "non_finite", "budget"]


class Due(msgspec.Struct):
    """A document that will be shown again. `loss` is that of its last pass, before learning.

    pairs: questions on it, from the pass on that first needed them.
    raw: partition and raw offset that it came from. messages: of a conversation.
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

    @property
    def content(self) -> Content:
        return self.text if self.messages is None else self.messages

    @property
    def num_characters(self) -> int:
        """That it takes; a conversation's contents are here twice."""
        return len(self.text) * (1 if self.messages is None else 2)


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

    def choose(self, random: Random) -> list[Due]:
        """The documents of the next rehearsal step; nothing changes until `shown`."""
        order = random.permutation(len(self._due))
        waiting = sorted(
            zip(self._due.values(), order, strict=True),
            key=lambda pair: (pair[0].num_passes, pair[1]),
        )
        chosen: list[Due] = []
        num_tokens = 0
        for due, _ in waiting:
            full = num_tokens + due.num_tokens > self._recipe.max_step_tokens
            if chosen and (full or len(chosen) >= self._recipe.rehearsal_documents):
                break
            chosen.append(due)
            num_tokens += due.num_tokens
        return chosen

    def shown(self, number: int, loss: float, pairs: list[Pair] | None = None) -> Retired | None:
        """A due document had one more pass; gives why it is due no more, if it is not."""
        due = self._due[number]
        self._changed.add(number)
        due.num_passes += 1
        due.loss = loss
        due.pairs = pairs
        why = self._verdict(due.num_passes, loss)
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
