"""What was learned by questions, to be asked again: the pairs of documents that are due no more.

A burst of new documents takes from what was learned before it, and a document as first told brings
no answer back: answers came from its questions. So these are what a share of each step replays. Of
one question only the newest answer stays: what changed must not be rehearsed as it was.

A part of the state. Knows nothing of tokens or losses. Called by `lesson.py` and `step.py`.

Source: Knowledge editing by rehearsal keeps what is asked, not what was read; replay as in Rolnick
et al., 2019 (arXiv:1811.11682), of pairs instead of records.
"""

from collections.abc import Sequence

import msgspec

from learner.part import Snapshot
from learner.seeds import Random, distinct
from learner.study import Pair, contradicts, question_key
from riverrun.errors import CheckpointError

MOST_NOTES = 4096
"""About half a megabyte in each checkpoint; the oldest go."""


class Notebook:
    """Pairs by what they ask, oldest first. Empty while nothing was studied."""

    def __init__(self) -> None:
        self._notes: dict[str, Pair] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def write(self, pairs: Sequence[Pair]) -> None:
        """These were learned; an older answer to the same question is struck out."""
        for pair in pairs:
            key = question_key(pair)
            self._notes.pop(key, None)
            self._notes[key] = pair
        while len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]

    def strike(self, pairs: Sequence[Pair]) -> None:
        """Forget answers that newer `pairs` contradict."""
        for pair in pairs:
            key = question_key(pair)
            if key in self._notes and contradicts(pair, self._notes[key]):
                del self._notes[key]

    def draw(self, num_wanted: int, random: Random) -> list[Pair]:
        """Different ones, all equally likely; all of them when there are fewer."""
        notes = list(self._notes.values())
        return [notes[i] for i in distinct(random, len(notes), num_wanted)]

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(list(self._notes.values())))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            pairs = msgspec.json.decode(snapshots[-1].facts, type=list[Pair])
        except msgspec.DecodeError as error:
            raise CheckpointError(str(error)) from error
        self._notes = {question_key(pair): pair for pair in pairs}
