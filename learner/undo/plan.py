"""What undoing something means, before anything is done: which steps, from which state, how long.

A document's coordinates are looked up in the journal, step by step, and the text itself is read
again where the journal alone cannot tell (which source a document was of). Reads, and writes
nothing: the learner plans with it when it is commanded, `riverrun undo --dry-run` beside it.

Knows nothing of the control topic.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from learner.arrival import Arrival, Range
from learner.checkpoint import path_of, steps_in
from learner.checkpoint_file import HEAD, Damaged, read_head
from learner.entries import Diverted, Entry, Learned
from learner.journal_file import entries_in, file_of, starts_in
from learner.left_out import StandingLeftOut, merged
from learner.redo import Refetch
from learner.snapshots import read_snapshot
from learner.state import Progress
from learner.watch.held_out import Facts
from riverrun.errors import CheckpointError, InvalidValue, UnknownVersion
from riverrun.records import LeftOut
from riverrun.store import Manifest, VersionStore

RECORDS_AT_ONCE = 5000
"""Read from Kafka in one go; their text is in memory meanwhile."""
SHOWN = 1 << 62
"""Behind every offset: where a range of a whole source ends until its last document is found."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.

    left_out: with a source's ranges cut to its documents. num_documents: of those, in the steps.
    first_step: the first one that saw some of it. last_step: the newest in the journal.
    base_step: of the state that the new line begins from; 0 without a checkpoint is the untouched
    model. num_steps: to be done again, about; seconds: about, None when no step was timed yet.
    goes: versions that saw some of it, oldest first. serve: the newest one before them that still
    has weights; None when there is none.
    """

    left_out: list[LeftOut]
    num_documents: int
    first_step: int
    last_step: int
    base_step: int
    num_steps: int
    seconds: float | None
    goes: list[str]
    serve: str | None
    quarantine: list[str] = []


def wanted_of(
    store: VersionStore,
    partitions: Sequence[int],
    *,
    ranges: Sequence[LeftOut] = (),
    source: str | None = None,
    version: str | None = None,
) -> list[LeftOut]:
    """What was asked for, as ranges. Raises InvalidValue, UnknownVersion."""
    if sum((bool(ranges), source is not None, version is not None)) != 1:
        raise InvalidValue("undo", "several or none", "one of raw ranges, a source or a version")
    for one in ranges:
        if one.partition not in partitions:
            raise InvalidValue("partition", one.partition, f"one of 0 to {max(partitions)}")
        if not 0 <= one.first <= one.last:
            told = f"{one.first} to {one.last}"
            raise InvalidValue("from and to", told, "raw offsets, the first not above the last")
    if source is not None:
        return [LeftOut(partition=p, first=0, last=SHOWN, source=source) for p in partitions]
    if version is not None:
        learned = store.manifest(version).learned
        if not learned:
            raise InvalidValue("version", version, "a version that learned text since its parent")
        return merged(
            LeftOut(partition=s.partition, first=s.raw_first, last=s.raw_last, source=s.only)
            for s in learned
        )
    return list(ranges)


class Planner:
    """Of one learner's directory. refetch: without what was undone before."""

    def __init__(self, directory: Path, store: VersionStore, refetch: Refetch) -> None:
        self._directory = directory
        self._store = store
        self._refetch = refetch

    def plan(self, wanted: Sequence[LeftOut], newest: str | None) -> Plan:
        """newest: the newest version of the line.

        Raises InvalidValue when none of it was learned; CheckpointError when the log no longer
        reaches back to it; OffsetExpired when Kafka does not.
        """
        starts = starts_in(self._directory / "journal")
        if not starts:
            raise CheckpointError(f"there is no journal in {self._directory}: nothing was learned")
        entries = list(self._entries(starts))
        self._refuse_what_is_older(wanted, starts[0])
        found = self._find(wanted, entries)
        if not found:
            raise InvalidValue(
                "undo", "; ".join(map(describe, wanted)), "text that was learned: none of it was"
            )
        first_step = min(step for step, _ in found)
        base_step = self._base(first_step, starts)
        learned = [entry for entry in entries if isinstance(entry, Learned)]
        redone = [entry for entry in learned if entry.step > base_step]
        times = [entry.took_ms for entry in redone if entry.took_ms]
        goes, serve = self._versions(newest, first_step)
        return Plan(
            left_out=_cut(wanted, [arrival for _, arrival in found]),
            num_documents=len(found),
            first_step=first_step,
            last_step=learned[-1].step,
            base_step=base_step,
            num_steps=len(redone),
            seconds=len(redone) * median(times) / 1000 if times else None,
            goes=goes,
            serve=serve,
            quarantine=sorted({r.source for r in wanted if r.source and r.last == SHOWN}),
        )

    def _entries(self, starts: Sequence[int]) -> Iterator[Entry]:
        for start in starts:
            yield from entries_in(file_of(self._directory / "journal", start))

    def _find(
        self, wanted: Sequence[LeftOut], entries: Sequence[Entry]
    ) -> list[tuple[int, Arrival]]:
        """The documents that are wanted, each with the first step that is not as it would be."""
        standing = StandingLeftOut(wanted)
        found: list[tuple[int, Arrival]] = []
        waiting: list[tuple[int, Range]] = []
        step = 0

        def read() -> None:
            """All that waits, partition by partition, in one go."""
            for partition in sorted({r.partition for _, r in waiting}):
                mine = [(s, r) for s, r in waiting if r.partition == partition]
                hull = Range(partition, mine[0][1].first, mine[-1][1].last)
                for arrival in standing.part(self._refetch([hull], {}))[1]:
                    steps = [s for s, r in mine if r.first <= arrival.clean_offset <= r.last]
                    if steps:
                        found.append((steps[0], arrival))
            waiting.clear()

        for entry in entries:
            if not isinstance(entry, Learned | Diverted):
                continue
            step = entry.step if isinstance(entry, Learned) else step + 1
            for i, one in enumerate(entry.ranges):
                raw = entry.raw[i] if i < len(entry.raw) else None
                if not any(_touches(want, one.partition, raw) for want in wanted):
                    continue
                source = entry.source if isinstance(entry, Learned) else None
                if source is not None:
                    documents = self._refetch([one], {}, source)
                    found += [(step, a) for a in standing.part(documents)[1]]
                else:
                    waiting.append((step, one))
            if isinstance(entry, Diverted):
                step -= 1
            if sum(r.last - r.first + 1 for _, r in waiting) > RECORDS_AT_ONCE:
                read()
        read()
        return found

    def _refuse_what_is_older(self, wanted: Sequence[LeftOut], start: int) -> None:
        """Raises CheckpointError when some of it was, or may have been, learned before `start`."""
        if start == 0:
            return
        marks = msgspec.json.decode(self._facts("progress", start), type=Progress).marks
        sources = msgspec.json.decode(self._facts("held_out", start), type=Facts).counts
        for want in wanted:
            mark = marks.get(want.partition, -1)
            if want.last == SHOWN:
                if want.source in sources:
                    raise CheckpointError(
                        f"text of {want.source!r} was learned before step {start}, and the log "
                        f"begins there. {CHOICE}"
                    )
            elif want.first <= mark:
                raise CheckpointError(
                    f"{describe(want)} reaches back behind step {start}, where the log begins: "
                    f"undoing can begin at raw offset {mark + 1} of partition "
                    f"{want.partition}. {CHOICE}"
                )

    def _facts(self, part: str, step: int) -> bytes:
        """What the checkpoint of `step` says of a part, in its newest snapshot."""
        path = path_of(self._directory / "checkpoints", step)
        return read_snapshot(path, read_head(path / HEAD).parts[part][-1]).facts

    def _base(self, first_step: int, starts: Sequence[int]) -> int:
        """The newest state from before `first_step` that the journal goes on from."""
        checkpoints = self._directory / "checkpoints"
        for step in reversed(steps_in(checkpoints)):
            if step < first_step and step in starts:
                try:
                    read_head(path_of(checkpoints, step) / HEAD)
                except Damaged:
                    continue
                return step
        if starts[0] == 0:
            return 0
        raise CheckpointError(
            f"it was learned in step {first_step} first, and no checkpoint from before that is "
            f"kept; the log begins after step {starts[0]}. {CHOICE}"
        )

    def _versions(self, newest: str | None, first_step: int) -> tuple[list[str], str | None]:
        goes: list[str] = []
        for manifest in _line(self._store, newest):
            if manifest.step >= first_step:
                goes.append(manifest.version)
            elif self._store.has_weights(manifest.version):
                return goes[::-1], manifest.version
        return goes[::-1], None


CHOICE = (
    "Undo less, promote a version from before it (`riverrun tell promote VERSION`), or begin anew "
    "with another --data-dir; keep more next time (learner.checkpoint_ladder_s)."
)


def describe(one: LeftOut) -> str:
    whose = f" of {one.source!r}" if one.source is not None else ""
    if one.last == SHOWN:
        return f"all{whose} in partition {one.partition}"
    return f"raw {one.partition}:{one.first}-{one.last}{whose}"


def _touches(want: LeftOut, partition: int, raw: tuple[int, int] | None) -> bool:
    return want.partition == partition and (
        raw is None or (want.first <= raw[1] and raw[0] <= want.last)
    )


def _cut(wanted: Sequence[LeftOut], found: Iterable[Arrival]) -> list[LeftOut]:
    """Ranges of a whole source end at its documents; others stay as they were asked for."""
    newest: dict[int, list[int]] = {}
    for arrival in found:
        newest.setdefault(arrival.partition, []).append(arrival.raw_offset)
    cut = []
    for want in wanted:
        if want.last < SHOWN:
            cut.append(want)
        elif (offsets := newest.get(want.partition)) is not None:
            cut.append(msgspec.structs.replace(want, first=min(offsets), last=max(offsets)))
    return merged(cut)


def _line(store: VersionStore, newest: str | None) -> Iterator[Manifest]:
    """`newest` and what it descends from, as far as the store has it."""
    while newest is not None:
        try:
            manifest = store.manifest(newest)
        except UnknownVersion:
            return
        yield manifest
        newest = manifest.parent
