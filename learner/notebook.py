"""What was learned by questions, to be asked again: the pairs of documents that are due no more.

A burst of new documents takes from what was learned before it, and a document as first told brings
no answer back: answers came from its questions. So these are what a share of each step asks again,
at intervals: what was just learned can wait a little, an answer that was still known is asked for
after twice as many steps as the last time, one that was lost in the next step but one. What is
kept costs little, and what goes comes back before it is gone. Of one question only the newest
answer stays: what changed must not be rehearsed as it was.

A part of the state. Knows nothing of tokens; the step tells it what each answer cost. Called by
`lesson.py` and `step.py`.

Source: Amiri et al., Repeat before Forgetting, 2017 (spaced repetition for networks, after Leitner,
1972); replay as in Rolnick et al., 2019 (arXiv:1811.11682), of pairs instead of records. Theirs
spaces the passes over a training set; ours has what came and went before the present one.
"""

import heapq
from collections.abc import Mapping, Sequence

import msgspec

from learner.part import Snapshot
from learner.seeds import Random
from learner.study_pair import (
    Outdated,
    Pair,
    contradicts,
    outdated_by,
    plainer,
    question_key,
)
from riverrun.errors import CheckpointError

MOST_NOTES = 4096
"""About half a megabyte in each checkpoint; the oldest go."""
FIRST_INTERVAL, LOST_INTERVAL, GROWTH = 8, 2, 2
"""Steps from one time that a pair is asked to the next: of one that was just learned, of one that
was lost, and by how much the interval grows for one that is known."""


class Note(msgspec.Struct):
    """A pair, the steps to wait after it was asked, and the first step in which it may be."""

    pair: Pair
    interval: int
    due_at: int


class Notebook:
    """Notes by what they ask, oldest first. Empty while nothing was studied.

    target_loss: nats; an answer that costs less is known.
    """

    def __init__(self, target_loss: float) -> None:
        self._target_loss = target_loss
        self._notes: dict[str, Note] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def pairs(self) -> list[Pair]:
        """All of them, oldest first."""
        return [note.pair for note in self._notes.values()]

    def write(self, pairs: Sequence[Pair], step: int) -> None:
        """These were learned by `step`; an older answer to the same question is struck out, and of
        two that agree the plainer wording stays."""
        for pair in pairs:
            key = question_key(pair)
            former = self._notes.pop(key, None)
            if former is not None and not contradicts(pair, former.pair):
                pair = plainer(pair, former.pair)
            self._notes[key] = Note(pair, FIRST_INTERVAL, step + FIRST_INTERVAL)
        while len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]

    def outdated(self, pairs: Sequence[Pair]) -> list[Outdated]:
        """What the notes say and these `pairs` say otherwise."""
        keys = dict.fromkeys(map(question_key, pairs))
        return outdated_by(pairs, [self._notes[key].pair for key in keys if key in self._notes])

    def strike(self, outdated: Sequence[Outdated]) -> None:
        """Forget whatever says it."""
        for one in outdated:
            for key in [key for key, note in self._notes.items() if one.is_in(note.pair)]:
                del self._notes[key]

    def draw(self, num_wanted: int, step: int, random: Random) -> list[Pair]:
        """Different ones that may be asked in `step`, those first that wait longest for their
        interval: where more wait than are wanted, what is well known can. Of equals, at random."""
        order = random.permutation(len(self._notes)).tolist()
        waiting = [
            ((note.due_at - step) / note.interval, place, note.pair)
            for place, note in zip(order, self._notes.values(), strict=True)
            if note.due_at <= step
        ]
        # No two have one place, so pairs are never compared.
        return [pair for _, _, pair in heapq.nsmallest(num_wanted, waiting)]

    def asked(self, costs: Mapping[Pair, float], step: int) -> None:
        """What each answer cost when it was asked in `step`, nats."""
        for pair, cost in costs.items():
            note = self._notes.get(question_key(pair))
            if note is None or note.pair != pair:
                continue
            note.interval = GROWTH * note.interval if cost < self._target_loss else LOST_INTERVAL
            note.due_at = step + note.interval

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(list(self._notes.values())))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            notes = msgspec.json.decode(snapshots[-1].facts, type=list[Note])
        except msgspec.DecodeError as error:
            raise CheckpointError(str(error)) from error
        self._notes = {question_key(note.pair): note for note in notes}
