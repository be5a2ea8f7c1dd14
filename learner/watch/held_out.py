"""Text that is never trained on: a small share of the stream, kept by source and time.

Which documents: those whose text hashes below the share. So a text is held out in every run alike,
and a repetition of it too. The first documents of each source are all learned, since a source of
twenty documents has none to spare.

Where: one cell a source and time bucket, by the document's own time. A cell holds a reservoir of
limited bytes. A source that comes to have too many buckets doubles their width and merges
neighbours, so that a day and thirty years both fit; whatever times a producer claims, the memory is
bounded by sources x buckets x bytes.

Knows nothing of losses but where to note them (`retention.py` measures). A part of the state; read
by `step.py`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from learner.arrival import Arrival
from learner.content import Content, Messages, content_of, num_bytes_of, shortened, told
from learner.part import Snapshot
from learner.seeds import Random
from riverrun.errors import CheckpointError
from riverrun.records import text_of

MAX_SOURCES = 64
"""Sources with held-out text; the one that was longest silent makes room."""
MAX_COUNTED = 4096
"""Sources whose documents are counted; one that is forgotten begins at none again."""
MAX_BUCKETS = 12
"""Of one source."""
CELL_BYTES = 4096
"""Of one cell; a longer text is held as its beginning."""
MAX_HELD_MESSAGES = 32
"""Of a conversation; a longer one is held as its last exchange."""


class Held(msgspec.Struct):
    """One text. nats: of its bytes under the weights that measured it last; best: when its cell
    was best. Both None before the first measurement.

    messages: of a conversation; num_bytes is then of what it is measured by, the answers.
    """

    text: str
    num_bytes: int
    nats: float | None = None
    best: float | None = None
    messages: Messages | None = None

    @property
    def content(self) -> Content:
        return self.text if self.messages is None else self.messages

    @property
    def size_bytes(self) -> int:
        """With what it is asked."""
        return self.num_bytes if self.messages is None else num_bytes_of(self.text)


class Cell(msgspec.Struct, kw_only=True):
    """The held-out text of one source in one bucket. measured_at: the step, 0 before the first."""

    source: str
    bucket: int
    texts: list[Held] = msgspec.field(default_factory=list)
    num_seen: int = 0
    measured_at: int = 0

    @property
    def num_bytes(self) -> int:
        """Of what is measured."""
        return sum(held.num_bytes for held in self.texts)

    @property
    def size_bytes(self) -> int:
        return sum(held.size_bytes for held in self.texts)


class Era(msgspec.Struct, kw_only=True):
    """How a source's time is cut. level: its buckets are 2^level times the base width.

    now: the bucket of its newest learned or held-out document.
    """

    level: int = 0
    now: int = 0


class Routing(NamedTuple):
    """Where a step's arrivals go. diverted: their sources are in quarantine. released: the source
    whose documents, kept in quarantine until now, these are."""

    learned: list[Arrival]
    held_out: list[Arrival]
    diverted: Sequence[Arrival] = ()
    released: str | None = None


class Facts(msgspec.Struct, kw_only=True):
    """All of the part, or what changed in it. gone: cells by source and bucket."""

    counts: dict[str, int]
    eras: dict[str, Era]
    cells: list[Cell]
    gone: list[tuple[str, int]] = []


def is_held_out(text: str, share: float) -> bool:
    """Whether the hash of `text` lies in the share; the same on every machine."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"held-out").digest()
    return int.from_bytes(digest) < share * 2**64


class HeldOut:
    """See the module. share: of all documents; after: of a source, all before are learned."""

    def __init__(self, share: float, after: int, bucket_s: float) -> None:
        self._share = share
        self._after = after
        self._bucket_ms = max(1, int(bucket_s * 1000))
        self._counts: dict[str, int] = {}
        self.eras: dict[str, Era] = {}
        self._cells: dict[tuple[str, int], Cell] = {}
        self._changed: set[tuple[str, int]] = set()

    def __len__(self) -> int:
        """Texts held."""
        return sum(len(cell.texts) for cell in self._cells.values())

    @property
    def num_bytes(self) -> int:
        return sum(cell.num_bytes for cell in self._cells.values())

    @property
    def size_bytes(self) -> int:
        return sum(cell.size_bytes for cell in self._cells.values())

    def cells(self) -> list[Cell]:
        """Oldest source first, and in it the oldest bucket."""
        order = {source: i for i, source in enumerate(self.eras)}
        return sorted(self._cells.values(), key=lambda c: (order[c.source], c.bucket))

    def num_counted(self, source: str) -> int:
        """Documents of `source` so far, learned or held out."""
        return self._counts.get(source, 0)

    @property
    def most_counted(self) -> int:
        """Of the source with most documents."""
        return max(self._counts.values(), default=0)

    def route(self, arrivals: Sequence[Arrival]) -> Routing:
        """Which arrivals are learned and which are held out; changes nothing yet."""
        routing = Routing([], [])
        counted: Counter[str] = Counter()
        for arrival in arrivals:
            document = arrival.document
            num_before = self._counts.get(document.source, 0) + counted[document.source]
            counted[document.source] += 1
            aside = num_before >= self._after and is_held_out(document.text, self._share)
            (routing.held_out if aside else routing.learned).append(arrival)
        return routing

    def keep(self, routing: Routing, random: Random) -> None:
        """The step is done: count its documents, keep the held-out ones."""
        aside = {id(arrival) for arrival in routing.held_out}
        for arrival in [*routing.learned, *routing.held_out]:
            document = arrival.document
            self._counts[document.source] = self._counts.pop(document.source, 0) + 1
            if len(self._counts) > MAX_COUNTED:
                del self._counts[next(iter(self._counts))]
            time = document.timestamp_ms // self._bucket_ms
            if id(arrival) in aside:
                self._hold(document.source, content_of(document), time, random)
            elif document.source in self.eras:
                era = self.eras[document.source]
                era.now = time >> era.level

    def _hold(self, source: str, content: Content, time: int, random: Random) -> None:
        era = self.eras.pop(source, None) or Era()
        self.eras[source] = era
        era.now = bucket = time >> era.level
        cell = self._cells.setdefault((source, bucket), Cell(source=source, bucket=bucket))
        cell.num_seen += 1
        held = _held(content)
        if cell.size_bytes + held.size_bytes <= CELL_BYTES:
            cell.texts.append(held)
        elif int(random.integers(cell.num_seen)) < len(cell.texts):
            cell.texts[int(random.integers(len(cell.texts)))] = held
            _fit(cell, random, held)
        self._changed.add((source, bucket))
        while len(self.buckets(source)) > MAX_BUCKETS:
            self._widen(source, random)
        if len(self.eras) > MAX_SOURCES:
            self._forget(next(iter(self.eras)))

    def buckets(self, source: str) -> list[int]:
        return sorted(bucket for name, bucket in self._cells if name == source)

    def _widen(self, source: str, random: Random) -> None:
        """Twice the width: two neighbours become one."""
        era = self.eras[source]
        era.level += 1
        era.now >>= 1
        narrow = [self._cells.pop((source, bucket)) for bucket in self.buckets(source)]
        for cell in narrow:
            self._changed |= {(source, cell.bucket), (source, cell.bucket >> 1)}
            cell.bucket >>= 1
            wide = self._cells.setdefault((source, cell.bucket), cell)
            if wide is not cell:
                _merge(wide, cell, random)

    def _forget(self, source: str) -> None:
        del self.eras[source]
        for bucket in self.buckets(source):
            del self._cells[source, bucket]
            self._changed.add((source, bucket))

    def measured(self, cell: Cell) -> None:
        """Its numbers have changed."""
        self._changed.add((cell.source, cell.bucket))

    # The checkpoint's view

    def snapshot(self, *, whole: bool) -> Snapshot:
        keys = set(self._cells) if whole else self._changed
        facts = Facts(
            counts=self._counts,
            eras=self.eras,
            cells=[self._cells[key] for key in sorted(keys) if key in self._cells],
            gone=[key for key in sorted(keys) if key not in self._cells],
        )
        self._changed = set()
        return Snapshot({}, msgspec.json.encode(facts), whole)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            told = [msgspec.json.decode(one.facts, type=Facts) for one in snapshots]
        except msgspec.DecodeError as error:
            raise CheckpointError(f"held-out text: {error}") from error
        self._cells = {}
        for facts in told:
            self._cells.update(_by_key(facts.cells))
            for key in facts.gone:
                self._cells.pop(key, None)
        self._counts, self.eras = told[-1].counts, told[-1].eras
        self._changed = set()


def _held(content: Content) -> Held:
    if isinstance(content, str):
        head = content.encode()[:CELL_BYTES].decode(errors="ignore")
        return Held(head, num_bytes_of(head))
    # Room for the blank lines that `text_of` puts between.
    messages = shortened(content, CELL_BYTES - 2 * MAX_HELD_MESSAGES)
    if len(messages) > MAX_HELD_MESSAGES:
        messages = messages[-2:]
    return Held(text_of(messages), num_bytes_of(told(messages)), messages=messages)


def _by_key(cells: Iterable[Cell]) -> Iterator[tuple[tuple[str, int], Cell]]:
    for cell in cells:
        yield (cell.source, cell.bucket), cell


def _merge(into: Cell, other: Cell, random: Random) -> None:
    into.texts += other.texts
    into.num_seen += other.num_seen
    into.measured_at = min(into.measured_at, other.measured_at)
    _fit(into, random)


def _fit(cell: Cell, random: Random, newest: Held | None = None) -> None:
    """Random texts leave until the cell fits; `newest` stays."""
    while cell.size_bytes > CELL_BYTES:
        leaving = [held for held in cell.texts if held is not newest]
        gone = leaving[int(random.integers(len(leaving)))]
        cell.texts = [held for held in cell.texts if held is not gone]
