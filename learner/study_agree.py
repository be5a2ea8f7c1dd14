"""A new text's pairs beside those on earlier texts: one answer to a question, unless it changed.

Three texts on one matter give its question three answers that say the same: "Piet Sommer.", "The
head coach of the Rovers is Piet Sommer.", "Piet Sommer is the head coach of the Rovers." A model
that is to learn all three says none of them for long: what one step teaches, the next one takes
back. So who says the same says it as it was said first.

What says something else is news, and strikes out the former answer. But a small model also answers
beside the point: "What is the capital of the islands? The mail ship reaches the islands once a
week." An answer that leaves out part of what it was asked for is no evidence of a change; it is
dropped, and the former one stays, unless that leaves out something too.

By rule; knows nothing of models. Called by `study.py`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from learner.study_pair import Pair, asked_about, contradicts, news_of, question_key, stems


class Agreed:
    """What is answered so far. known: pairs on other texts, oldest first."""

    def __init__(self, known: Iterable[Pair]) -> None:
        self._answered = {question_key(pair): pair for pair in known if not pair.is_open}

    def take(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Of the next text's pairs those that can stand beside what is answered, in its words where
        they say no more and no less; from now on they count as answered too."""
        kept = [agreed for pair in pairs if (agreed := self._beside(pair)) is not None]
        self._answered.update((question_key(pair), pair) for pair in kept if not pair.is_open)
        return kept

    def _beside(self, pair: Pair) -> Pair | None:
        former = None if pair.is_open else self._answered.get(question_key(pair))
        if former is None:
            return pair
        if contradicts(pair, former):
            return pair if is_to_the_point(pair) or not is_to_the_point(former) else None
        if news_of(pair) == news_of(former):
            return msgspec.structs.replace(pair, answer=former.answer)
        return pair


def is_to_the_point(pair: Pair) -> bool:
    """Whether an answer repeats all of what was asked for, or nothing, as a short one does."""
    asked, said = asked_about(pair.question), stems(pair.answer)
    return asked <= said or not asked & said
