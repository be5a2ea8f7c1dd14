"""Facts in bursts: each is learned to its end before the next one comes, and all are asked again.

The matrix is the retention matrix of continual learning (Lopez-Paz and Ranzato, Gradient Episodic
Memory, 2017, arXiv:1706.08840), in facts: its entry i, j counts the facts of burst j that are
answered after burst i. A fact that changes was told otherwise one burst earlier (in the first
burst: at its beginning), so what was learned to its end is what has to go.

Knows nothing of models; the class learns and the curves look. Called by `facts.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec

from bench.classroom import Classroom
from bench.facts_curves import Curves
from bench.facts_files import Fact, documents_of
from riverrun.errors import InvalidValue


class Bursts(msgspec.Struct, kw_only=True):
    """A row, or number, for each burst that was learned so far.

    sizes, changing: facts of each burst, and those of them that changed.
    answered: facts by the burst that told them, those still to come too (by chance, or known).
    changed: of all changed facts, those that give the new answer and not the former one.
    seconds: of the burst's steps, a fact of it. processor_s: the same of processor time, which a
    busy machine does not stretch.
    """

    sizes: list[int]
    changing: list[int]
    answered: list[list[int]] = []
    changed: list[int] = []
    general: list[int] = []
    control_ratio: list[float] = []
    seconds: list[float] = []
    processor_s: list[float] = []


def parts_of(facts: Sequence[Fact], num_bursts: int) -> list[range]:
    """The indices of each burst's facts, in the facts' order.

    Raises InvalidValue for more bursts than facts.
    """
    if not 1 <= num_bursts <= len(facts):
        raise InvalidValue("--bursts", num_bursts, f"1 to the number of facts, {len(facts)}")
    bounds = [len(facts) * i // num_bursts for i in range(num_bursts + 1)]
    return [range(first, end) for first, end in pairwise(bounds)]


def tellings(facts: Sequence[Fact], parts: Sequence[range]) -> Iterator[list[str]]:
    """The documents of each burst, with what changes in the next one told as it is until then."""
    for number, part in enumerate(parts):
        own = [facts[i] for i in part]
        if number:
            own = [msgspec.structs.replace(fact, before=[]) for fact in own]
        following = [facts[i] for i in parts[number + 1]] if number + 1 < len(parts) else []
        until_then = [
            msgspec.structs.replace(fact, documents=fact.before, before=[])
            for fact in following
            if fact.before
        ]
        yield documents_of([*own, *until_then])


def teach_in_bursts(
    one: Classroom,
    curves: Curves,
    facts: Sequence[Fact],
    parts: Sequence[range],
    results: dict[str, Bursts],
    save: Callable[[], None],
) -> None:
    """Fill `results`, by the name of each curve; `save` is called after each burst."""
    changing = [sum(bool(facts[i].before) for i in part) for part in parts]
    seconds, processor_s = one.seconds, one.processor_s
    for number, texts in enumerate(tellings(facts, parts), start=1):
        one.tell(texts)
        while one.rehearse():
            pass
        size = len(parts[number - 1])
        for name, known in curves.look(number).items():
            burst = results.setdefault(
                name, Bursts(sizes=[len(part) for part in parts], changing=changing)
            )
            burst.answered.append([sum(i in part for i in known.facts) for part in parts])
            burst.changed.append(sum(bool(facts[i].before) for i in known.facts))
            burst.general.append(len(known.general))
            burst.control_ratio.append(known.control_ratio)
            burst.seconds.append(round((one.seconds - seconds) / size, 2))
            burst.processor_s.append(round((one.processor_s - processor_s) / size, 2))
        seconds, processor_s = one.seconds, one.processor_s
        save()


def table(name: str, bursts: Bursts) -> list[str]:
    """The matrix as lines: a row for each burst that was learned, a column for each that told."""
    sizes = bursts.sizes
    lines = [
        f"{name}: facts answered after each burst, by the burst that told them",
        f"{'burst':>7}"
        + "".join(f"{j:4}" for j in range(1, len(sizes) + 1))
        + "   changed  general  control  s a fact  processor s",
        f"{'of':>7}" + "".join(f"{size:4}" for size in sizes) + f"{sum(bursts.changing):10}",
    ]
    for i, row in enumerate(bursts.answered):
        cells = "".join(f"{n:4}" if j <= i or n else "   ." for j, n in enumerate(row))
        lines.append(
            f"{i + 1:7}{cells}{bursts.changed[i]:10}{bursts.general[i]:9}"
            f"{bursts.control_ratio[i]:9.2f}{bursts.seconds[i]:10.1f}"
            f"{bursts.processor_s[i]:13.1f}"
        )
    lines.append(
        f"of the first burst's {sizes[0]} facts {bursts.answered[0][0]} at its end, "
        f"{bursts.answered[-1][0]} after {len(bursts.answered)} of {len(sizes)} bursts"
    )
    return lines
