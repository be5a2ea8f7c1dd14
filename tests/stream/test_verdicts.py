from prometheus_client import CollectorRegistry

from riverrun.metrics import StreamMetrics
from riverrun.records import RESUME_HEADER, Document, Rejection
from riverrun.settings import StreamSettings
from stream.clean_tail import Passed
from stream.lag import LagWatch
from stream.offset_notes import OffsetNotes
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord
from stream.source_labels import SourceLabels
from stream.verdicts import Verdicts
from stream.watermarks import Watermarks
from tests.stream.fakes import FakeTail

SETTINGS = StreamSettings(pause_rejections=3, pause_share=0.5)
LONG = b"The same text once more, long enough that it is taken for a repetition of the first."


class Reader:
    """A worker's verdicts over one partition, with the notes that Kafka would keep."""

    def __init__(self, tail: FakeTail | None = None, stored: str = "") -> None:
        self.metrics = StreamMetrics(CollectorRegistry())
        self.tail = tail or FakeTail()
        self.stored = stored
        self.notes = OffsetNotes()
        pipeline = Pipeline(SETTINGS)
        self.verdicts = Verdicts(
            SETTINGS, self.metrics, pipeline, self.tail, self.notes, self._stored_note
        )

    async def _stored_note(self, _partition: int) -> str:
        return self.stored

    async def read(self, records: list[RawRecord]) -> list[str]:
        """`clean` or the reason, for each."""
        said = []
        for record in records:
            await self.verdicts.begin(0, record.offset)
            result = self.verdicts.of(record)
            self.verdicts.note(0)
            said.append("clean" if isinstance(result, Document) else result.reason)
        return said


def raw(offset: int, value: bytes | None, **headers: bytes) -> RawRecord:
    return RawRecord("raw", 0, offset, 1000 + offset, None, value, headers)


async def test_a_record_that_is_read_again_is_no_duplicate_of_itself() -> None:
    reader = Reader()
    records = [raw(0, LONG), raw(1, LONG), raw(2, b"ok"), raw(3, b"ok")]
    first = await reader.read(records)
    assert first == ["clean", "duplicate", "clean", "clean"], "short texts are said every day"
    reader.verdicts.enter()
    assert await reader.read(records) == first
    assert reader.tail.num_questions == 1, "what this worker judged itself it need not ask"


async def test_another_worker_gives_the_same_verdicts_from_the_end_of_clean() -> None:
    mark = Pipeline(SETTINGS).fingerprint(
        Document(text=LONG.decode(), source="default", timestamp_ms=0), "raw"
    )
    assert mark is not None
    reader = Reader(FakeTail(Passed(0, 1000, mark)))
    assert await reader.read([raw(1, LONG)]) == ["duplicate"]
    again = Reader(FakeTail(Passed(0, 1000, mark)))
    assert await again.read([raw(0, LONG), raw(1, LONG)]) == ["clean", "duplicate"]


async def test_where_no_profile_compares_texts_clean_is_not_read() -> None:
    metrics = StreamMetrics(CollectorRegistry())
    settings = StreamSettings(profile="logs")
    tail = FakeTail()

    async def nothing(_partition: int) -> str:
        return ""

    verdicts = Verdicts(settings, metrics, Pipeline(settings), tail, OffsetNotes(), nothing)
    await verdicts.begin(0, 5)
    assert tail.num_questions == 0


async def test_a_partition_that_others_have_read_meanwhile_is_learned_anew() -> None:
    reader = Reader()
    await reader.read([raw(0, b"a")])
    reader.verdicts.enter()
    await reader.read([raw(500, b"b")])
    assert reader.tail.num_questions == 2


async def test_a_paused_source_keeps_its_documents_back_and_others_go_on() -> None:
    reader = Reader()
    bad = [raw(i, b"\xff", source=b"broken") for i in range(3)]
    assert await reader.read(bad) == ["not_utf8"] * 3
    said = await reader.read(
        [
            raw(3, b"A document.", source=b"broken"),
            raw(4, b'{"text": "Another.", "source": "broken"}'),
            raw(5, b"A document.", source=b"fine"),
        ]
    )
    assert said == ["paused", "paused", "clean"]
    assert reader.metrics.pauses._value.get() == 1
    assert reader.metrics.paused.labels(0)._value.get() == 1


async def test_a_mark_in_the_log_ends_the_pause_for_whoever_reads_on() -> None:
    reader = Reader()
    await reader.read([raw(i, b"\xff", source=b"broken") for i in range(3)])
    note = reader.notes.at(0, 3)
    assert note
    rest = [
        raw(3, b"held", source=b"broken"),
        raw(4, None, **{RESUME_HEADER: b"broken"}),
        raw(5, b"flows", source=b"broken"),
    ]
    expected = ["paused", "resumed", "clean"]
    assert await reader.read(rest) == expected
    assert await Reader(stored=note).read(rest) == expected, "another worker, from the note"
    reader.verdicts.enter()
    assert await reader.read(rest) == expected, "the same worker, after a rebalance"


async def test_a_rejection_names_its_source_also_when_only_its_json_does() -> None:
    reader = Reader()
    await reader.verdicts.begin(0, 0)
    result = reader.verdicts.of(raw(0, b'{"text": " ", "source": "wiki"}'))
    assert isinstance(result, Rejection)
    assert (result.reason, result.source) == ("empty", "wiki")
    result = reader.verdicts.of(raw(1, b'{"text": 5, "source": "wiki"}'))
    assert isinstance(result, Rejection)
    assert (result.reason, result.source) == ("bad_field", "wiki")


async def test_a_note_that_cannot_be_read_begins_without_pauses() -> None:
    assert await Reader(stored="not ours").read([raw(0, b"text")]) == ["clean"]


def test_notes_of_uncommitted_offsets_wait_for_their_commit() -> None:
    notes = OffsetNotes()
    notes.begin(0, 10, "a")
    notes.put(0, 20, "b")
    notes.put(0, 25, "b")
    notes.put(0, 30, "c")
    assert notes.committed(0, 27) == "b"
    assert (notes.at(0, 15), notes.at(0, 29), notes.at(0, 99)) == (None, "b", "c")
    assert notes.committed(1, 5) == ""


def test_a_commit_from_before_a_rebalance_finds_its_note_after_it() -> None:
    notes = OffsetNotes()
    notes.begin(0, 10, "a")
    notes.put(0, 20, "b")
    notes.put(0, 15, "a")  # read again
    assert notes.at(0, 15) == "a"
    assert notes.committed(0, 20) == "b"


def test_a_clock_that_runs_ahead_makes_nobody_late() -> None:
    metrics = StreamMetrics(CollectorRegistry())
    marks = Watermarks(metrics, SourceLabels(), late_s=10)
    marks.pass_by("a", 10**14, 50_000)
    marks.pass_by("a", 40_000, 51_000)
    late = metrics.late.labels("a")._value
    assert late.get() == 0
    marks.pass_by("a", 39_999, 52_000)
    assert late.get() == 1
    assert metrics.watermark.labels("a")._value.get() == 50


async def test_the_lag_of_a_partition_that_left_is_not_shown_any_more() -> None:
    class Probe:
        async def end_offsets(self, partitions: list[int]) -> dict[int, int]:
            return dict.fromkeys(partitions, 10)

        async def first_timestamp_ms(self, partition: int, _offset: int) -> int | None:
            return 1000 if partition == 0 else None

    metrics = StreamMetrics(CollectorRegistry())
    held = {0: 4, 1: 9, 2: 10}
    watch = LagWatch(metrics, Probe(), lambda: held, lambda: 3)  # type: ignore[arg-type]
    await watch.look()
    shown = {s.labels["partition"]: s.value for m in metrics.lag.collect() for s in m.samples}
    assert shown == {"0": 6, "1": 0, "2": 0}, "behind 1 there are only marks of transactions"
    assert metrics.oldest_seconds.labels(0)._value.get() > 1e6
    del held[0]
    await watch.look()
    shown = {s.labels["partition"]: s.value for m in metrics.lag.collect() for s in m.samples}
    assert shown == {"1": 0, "2": 0}
