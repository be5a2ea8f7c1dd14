"""What becomes of each raw record: a document, or a dead letter.

The pipeline sees one record; what depends on the records before it in the partition is kept here:
repetitions (`Duplicates`) and sources that are paused (`Pauses`). Both are functions of the
partition's log alone, and are brought to the offset at which this worker begins to read, from the
end of `clean` and from the note beside the committed offset: a record that is read twice gets one
verdict. Settings are part of that function: a change of them can give a record that is read again
another verdict (docs/operations.md).

Called by the worker, for each record in order.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from riverrun.metrics import StreamMetrics
from riverrun.records import RESUME_HEADER, Document, Rejection
from riverrun.settings import StreamSettings
from stream.clean_tail import Passed
from stream.duplicates import Duplicates
from stream.offset_notes import OffsetNotes
from stream.pauses import Change, Limits, Pauses
from stream.pipeline import Pipeline, rejection, source_of
from stream.raw_record import RawRecord
from stream.stages.decode import Decoded

log = logging.getLogger(__name__)


class Tail(Protocol):
    """Who knows what was let through before (`CleanTail`)."""

    async def read(
        self, partition: int, before: int, enough_bytes: int, window_ms: float, /
    ) -> list[Passed]: ...


@dataclass(slots=True)
class PartitionState:
    """position: the offset that is judged next."""

    position: int
    duplicates: Duplicates
    pauses: Pauses


class Verdicts:
    """The verdicts of one process. stored_note: the note beside a partition's committed offset."""

    def __init__(
        self,
        settings: StreamSettings,
        metrics: StreamMetrics,
        pipeline: Pipeline,
        tail: Tail,
        notes: OffsetNotes,
        stored_note: Callable[[int], Awaitable[str]],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pipeline = pipeline
        self._tail = tail
        self._notes = notes
        self._stored_note = stored_note
        self._limits = Limits(
            settings.pause_rejections,
            settings.pause_share,
            settings.pause_window_s,
            settings.pause_s,
        )
        self._partitions: dict[int, PartitionState] = {}
        self._begun: set[int] = set()

    def enter(self) -> None:
        """The group has a new generation: every partition begins at its committed offset again."""
        self._begun.clear()
        self._metrics.paused.clear()

    async def begin(self, partition: int, offset: int) -> None:
        """Know what there is to know before record `offset`, the next one; once a generation."""
        if partition in self._begun:
            return
        state = self._partitions.get(partition)
        # What we have judged up to here ourselves is what anybody would have. Beyond, somebody
        # else has read the partition meanwhile.
        note = None if state is None else self._notes.at(partition, offset)
        if state is None or note is None or offset > state.position:
            state = await self._taken_over(partition, offset)
            self._notes.begin(partition, offset, state.pauses.note())
        else:
            state.duplicates.forget_from(offset)
            state.pauses = self._pauses(partition, note)
            state.position = offset
        self._partitions[partition] = state
        self._begun.add(partition)
        self._show_paused(partition)

    def of(self, raw: RawRecord) -> Document | Rejection:
        """The verdict on the next record of a partition that was begun."""
        state = self._partitions[raw.partition]
        state.position = raw.offset + 1
        mark = raw.headers.get(RESUME_HEADER)
        if mark is not None:
            return self._resumed(raw, state, mark.decode("utf-8", "replace"))
        result = self._cleaned(raw, state)
        source = self._source(raw, result)
        reason = result.reason if isinstance(result, Rejection) else None
        change = state.pauses.observe(source, raw.offset, raw.timestamp_ms, reason)
        if change is not None:
            self._tell(change, source, raw)
        return result

    def note(self, partition: int) -> None:
        """Everything up to the position is written: what is known may be stored with it."""
        state = self._partitions[partition]
        self._notes.put(partition, state.position, state.pauses.note())
        self._metrics.remembered_bytes.labels(partition).set(state.duplicates.num_bytes)

    def _cleaned(self, raw: RawRecord, state: PartitionState) -> Document | Rejection:
        try:
            result = self._pipeline.clean(raw)
            if isinstance(result, Document):
                return self._admitted(raw, result, state)
        except Exception as error:  # one record must not stop the stream
            log.exception("cleaning %s/%d@%d failed", raw.topic, raw.partition, raw.offset)
            return rejection(raw, "failed", f"{type(error).__name__}: {error}")
        return result

    def _admitted(
        self, raw: RawRecord, document: Document, state: PartitionState
    ) -> Document | Rejection:
        """The document, unless its source is paused or it repeats an earlier one."""
        if state.pauses.holds(document.source, raw.timestamp_ms):
            return rejection(
                raw,
                "paused",
                f"{document.source!r} is paused; resume it, then send this back",
                document.source,
            )
        fingerprint = self._pipeline.fingerprint(document, raw.topic)
        if fingerprint is None:
            return document
        seen = state.duplicates.find(raw.offset, raw.timestamp_ms, fingerprint)
        if seen is not None:
            kind, first = seen
            return rejection(raw, kind, f"of {raw.partition}:{first}", document.source)
        state.duplicates.add(raw.offset, raw.timestamp_ms, fingerprint)
        return document

    def _resumed(self, raw: RawRecord, state: PartitionState, source: str) -> Rejection:
        ended = state.pauses.resume(source)
        for key in ended:
            log.warning(
                "%r flows again from %s/%d@%d on", key, raw.topic, raw.partition, raw.offset
            )
        self._show_paused(raw.partition)
        return rejection(raw, "resumed", f"{source!r} flows from here on", source)

    def _source(self, raw: RawRecord, result: Document | Rejection) -> str:
        named = result.source or source_of(Decoded(""), raw)
        return named or self._settings.default_source

    def _tell(self, change: Change, source: str, raw: RawRecord) -> None:
        if change == "paused":
            self._metrics.pauses.inc()
            log.error(
                "%r is paused from %s/%d@%d on, for %g s: at least %d of its records were rejected "
                "within %g s, and more than %g of all. Its documents are kept back as dead letters "
                "(`paused`); see `riverrun dead-letters`",
                source,
                raw.topic,
                raw.partition,
                raw.offset + 1,
                self._limits.pause_s,
                self._limits.rejections,
                self._limits.window_s,
                self._limits.share,
            )
        else:
            log.warning(
                "%r flows again from %s/%d@%d on: its pause is over",
                source,
                raw.topic,
                raw.partition,
                raw.offset,
            )
        self._show_paused(raw.partition)

    def _show_paused(self, partition: int) -> None:
        self._metrics.paused.labels(partition).set(len(self._partitions[partition].pauses.paused()))

    async def _taken_over(self, partition: int, offset: int) -> PartitionState:
        duplicates = Duplicates(
            self._settings.duplicates_max_bytes, self._settings.duplicates_window_s
        )
        if self._settings.duplicates_max_bytes and self._pipeline.profiles.compare_texts():
            for passed in await self._tail.read(
                partition, offset, duplicates.remembered_bytes, duplicates.window_ms
            ):
                duplicates.add(passed.offset, passed.timestamp_ms, passed.fingerprint)
        pauses = self._pauses(partition, await self._stored_note(partition))
        return PartitionState(offset, duplicates, pauses)

    def _pauses(self, partition: int, note: str) -> Pauses:
        try:
            return Pauses(self._limits, note)
        except ValueError as error:
            log.error("partition %d begins without pauses: %s", partition, error)
            return Pauses(self._limits)
