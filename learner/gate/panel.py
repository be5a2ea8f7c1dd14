"""The held-out texts that a candidate is judged on: few, and the same from version to version.

Heads of texts from every cell in turn, newest buckets and older ones alternating, in each cell by
the hash of the text. So a panel changes only where the held-out text does, and what the reference
version knew of it need not be measured again.

Knows nothing of models. Called by `judge.py`.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from learner.content import Content, told
from learner.watch.held_out import Cell, HeldOut

HEAD_CHARACTERS = 256
"""Of a text; many beginnings say more than one whole text."""


class Sheet(NamedTuple):
    """One text of the panel."""

    source: str
    is_newest: bool
    content: Content


def head_of(content: Content) -> Content:
    """A text's beginning; a conversation as it is."""
    return content[:HEAD_CHARACTERS] if isinstance(content, str) else content


def panel(
    held_out: HeldOut, num_tokens: Callable[[Content], int], budget: int, least: int
) -> list[Sheet]:
    """Sheets of about `budget` tokens; at least `least` of them where there is so much text."""
    chosen: list[Sheet] = []
    spent = 0
    for sheet in _in_turn(held_out):
        cost = num_tokens(sheet.content)
        if len(chosen) >= least and spent + cost > budget:
            break
        chosen.append(sheet)
        spent += cost
    return chosen


def _in_turn(held_out: HeldOut) -> Iterator[Sheet]:
    cells = [cell for cell in held_out.cells() if cell.texts]
    newest = [c for c in cells if c.bucket == held_out.eras[c.source].now]
    older = [c for c in cells if c.bucket != held_out.eras[c.source].now]
    queues = [
        iter([Sheet(cell.source, True, text) for cell, text in _rounds(newest)]),
        iter([Sheet(cell.source, False, text) for cell, text in _rounds(older)]),
    ]
    while queues:
        for queue in list(queues):
            sheet = next(queue, None)
            if sheet is None:
                queues.remove(queue)
            else:
                yield sheet


def _rounds(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Content]]:
    """One text of each cell, then the next of each."""
    waiting = [
        (cell, sorted((head_of(held.content) for held in cell.texts), key=_place)) for cell in cells
    ]
    for number in range(max((len(texts) for _, texts in waiting), default=0)):
        for cell, texts in waiting:
            if number < len(texts):
                yield cell, texts[number]


def _place(content: Content) -> bytes:
    return hashlib.blake2b(told(content).encode(), digest_size=8, person=b"panel").digest()
