"""`riverrun clean`'s pipeline beside datatrove's filters and formatters of their kind, on one core.

Of datatrove: FTFY and PII formatters, Gopher quality and repetition, C4 and FineWeb quality. It is
no dependency of ours: `pip install riverrun[bench]`. Its word splitter needs spaCy or a download of
nltk's, so that its filters get a plain `str.split` here, which is to its advantage.
Called by `bench.clean`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from riverrun.records import Document as CleanDocument
from riverrun.settings import StreamSettings
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord
from stream.stages.decode import decode

ROUNDS = 3


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Records a second of one core; `absent` says why there is no comparison."""

    riverrun_records_per_s: float
    datatrove_records_per_s: float | None = None
    ratio: float | None = None
    absent: str | None = None


def compare(values: list[bytes], say: Callable[[str], None]) -> Desk:
    """Interleaved rounds over the same records; medians."""
    ours = our_run(values)
    theirs: Callable[[], None] | None = None
    absent = None
    try:
        theirs = their_run([decode(value, None).text for value in values])
    except ImportError as error:
        absent = f"datatrove is not there ({error}); pip install riverrun[bench]"
    our_s, their_s = [], []
    for _ in range(ROUNDS):
        our_s.append(cpu_seconds(ours))
        if theirs is not None:
            their_s.append(cpu_seconds(theirs))
    our_rate = len(values) / statistics.median(our_s)
    if not their_s:
        say(f"at the desk: {our_rate:,.0f} records/s; {absent}")
        return Desk(riverrun_records_per_s=round(our_rate, 1), absent=absent)
    their_rate = len(values) / statistics.median(their_s)
    say(f"at the desk: {our_rate:,.0f} records/s, datatrove {their_rate:,.0f}")
    return Desk(
        riverrun_records_per_s=round(our_rate, 1),
        datatrove_records_per_s=round(their_rate, 1),
        ratio=round(our_rate / their_rate, 2),
    )


def cpu_seconds(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def our_run(values: list[bytes]) -> Callable[[], None]:
    """The whole `prose` profile, from bytes to documents, with fingerprints."""
    pipeline = Pipeline(StreamSettings(profile="prose"))
    records = [RawRecord("raw", 0, n, 0, None, value) for n, value in enumerate(values)]

    def run() -> None:
        for raw in records:
            result = pipeline.clean(raw)
            if isinstance(result, CleanDocument):
                pipeline.fingerprint(result, "raw")

    run()
    return run


def their_run(texts: list[str]) -> Callable[[], None]:
    """The same texts through datatrove's blocks. Raises ImportError when it is not installed."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )
    from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter

    def split(text: str, language: str) -> list[str]:  # noqa: ARG001
        return text.split()

    def sentences(text: str, language: str) -> list[str]:  # noqa: ARG001
        return text.split(". ")

    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = split
    c4_filters.split_into_sentences = sentences
    formatters: list[Any] = [FTFYFormatter(), PIIFormatter()]
    filters: list[Any] = [
        gopher_repetition_filter.GopherRepetitionFilter(),
        gopher_quality_filter.GopherQualityFilter(min_doc_words=8),
        c4_filters.C4QualityFilter(min_num_sentences=1, filter_no_terminal_punct=False),
        fineweb_quality_filter.FineWebQualityFilter(),
    ]

    def run() -> None:
        for number, text in enumerate(texts):
            document = Document(text=text, id=str(number))
            for formatter in formatters:
                document.text = formatter.format(document.text)
            for block in filters:
                if block.filter(document) is not True:
                    break

    run()
    return run
