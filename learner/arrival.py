"""A clean document as the learner receives it, and the ranges that name many of them.

Knows nothing of Kafka's client: what stands here is what the journal and the step speak of.
"""

from collections.abc import Iterable, Sequence

import msgspec

from riverrun.records import Document, Span


class Arrival(msgspec.Struct, frozen=True):
    """One clean record that is to be learned."""

    partition: int
    clean_offset: int
    raw_offset: int
    arrived_ms: int
    """Kafka's time of the raw record, ms since 1970."""
    document: Document


class Range(msgspec.Struct, frozen=True, array_like=True):
    """Clean offsets of one partition, both ends included."""

    partition: int
    first: int
    last: int


def in_order(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """The one order in which a step sees its documents, however they came in."""
    return sorted(arrivals, key=lambda a: (a.partition, a.clean_offset))


def ranges_of(arrivals: Iterable[Arrival]) -> list[Range]:
    """A range a partition; to be read again with the same marks, they give the same arrivals."""
    ends: dict[int, tuple[int, int]] = {}
    for arrival in in_order(arrivals):
        first, _ = ends.get(arrival.partition, (arrival.clean_offset, 0))
        ends[arrival.partition] = (first, arrival.clean_offset)
    return [Range(partition, first, last) for partition, (first, last) in ends.items()]


def raw_of(arrivals: Iterable[Arrival]) -> list[tuple[int, int]]:
    """First and last raw offset of each of `ranges_of`."""
    ends: dict[int, tuple[int, int]] = {}
    for arrival in in_order(arrivals):
        first, _ = ends.get(arrival.partition, (arrival.raw_offset, 0))
        ends[arrival.partition] = (first, arrival.raw_offset)
    return list(ends.values())


def spans_of(
    arrivals: Iterable[Arrival],
    step: int,
    held_out: Sequence[Arrival] = (),
    diverted: Sequence[Arrival] = (),
    only: str | None = None,
) -> list[Span]:
    """What the version's manifest says of a step: raw and clean offsets, a span a partition.

    arrivals: what was learned. held_out, diverted: came in the same step, and were not. only: the
    source of the arrivals, when others that lie between them are not meant.
    """
    aside = {(a.partition, a.raw_offset) for a in held_out}
    by_partition: dict[int, list[Arrival]] = {}
    for arrival in in_order([*arrivals, *held_out]):
        by_partition.setdefault(arrival.partition, []).append(arrival)
    spans = []
    for partition, group in by_partition.items():
        kept_apart = [a.raw_offset for a in group if (partition, a.raw_offset) in aside]
        spans.append(
            Span(
                step=step,
                partition=partition,
                raw_first=group[0].raw_offset,
                raw_last=group[-1].raw_offset,
                clean_first=group[0].clean_offset,
                clean_last=group[-1].clean_offset,
                num_documents=len(group) - len(kept_apart),
                held_out=kept_apart,
                without=_sources_between(group, diverted),
                only=only,
            )
        )
    return spans


def _sources_between(group: Sequence[Arrival], diverted: Sequence[Arrival]) -> list[str]:
    """Of those diverted that lie between the ends of a partition's group."""
    first, last = group[0], group[-1]
    return sorted(
        {
            a.document.source
            for a in diverted
            if a.partition == first.partition
            and first.clean_offset < a.clean_offset < last.clean_offset
        }
    )
