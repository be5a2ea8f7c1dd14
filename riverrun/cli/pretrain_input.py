"""What `riverrun pretrain` reads: files or a topic, by the stream's pipeline, as pieces to freeze.

A line of a JSON-lines file is a record as in the raw topic, with text or a conversation; a plain
text is a record every few paragraphs, which belong together. Of the package, only this folder looks
up to `stream` and `learner`, and late.
"""

import gzip
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from riverrun.errors import BrokerError, InvalidValue

if TYPE_CHECKING:
    from learner.pretrain.corpus import Piece
    from learner.pretrain.plan import Input
    from riverrun.records import Document
    from riverrun.settings import Settings
    from stream.raw_record import RawRecord

JSON_LINES = (".jsonl", ".ndjson")
RECORD_BYTES = 1800
"""Paragraphs of a plain text are put together up to this: a little less than a piece."""
MAX_SHOWN = 3

Complain = Callable[[str], None]


def files_as_inputs(paths: Sequence[Path]) -> "list[Input]":
    """Raises InvalidValue for what is no readable file, or is named twice."""
    from learner.pretrain.plan import Input

    inputs: list[Input] = []
    for path in paths:
        if not path.is_file():
            raise InvalidValue("FILES", str(path), "files that can be read")
        told = path.stat()
        if told.st_size == 0:
            raise InvalidValue("FILES", str(path), "files with text; this one is empty")
        name = str(path.resolve())
        if any(one.name == name for one in inputs):
            raise InvalidValue("FILES", str(path), "each file once")
        inputs.append(Input(name=name, num_bytes=told.st_size, modified_ns=told.st_mtime_ns))
    return inputs


class Reader:
    """Records to pieces; what is none is counted by reason, and the first few are told."""

    def __init__(self, settings: "Settings", profile: str | None, complain: Complain) -> None:
        """Raises InvalidValue for a profile that there is not."""
        from riverrun.cli.clean import chosen
        from stream.pipeline import Pipeline

        self._settings = settings
        self._pipeline: Pipeline = Pipeline(chosen(settings.stream, profile or "none"))
        self._complain = complain
        self._seen: set[int] = set()
        self.rejected: Counter[str] = Counter()

    def files(self, paths: Sequence[Path]) -> "Iterator[Piece]":
        """Raises InvalidValue for a file that is not UTF-8, or not a whole gzip file."""
        for partition, path in enumerate(paths):
            num_before = sum(self.rejected.values())
            num = 0
            for raw in raw_records(path, partition):
                for piece in self._piece(raw, f"{path}, record {raw.offset}", must_be_utf8=True):
                    num += 1
                    yield piece
            if num == 0 and sum(self.rejected.values()) == num_before:
                raise InvalidValue("FILES", str(path), "files with text; this one has none")

    def topic(self, name: str) -> "Iterator[Piece]":
        """What the topic holds now. Raises BrokerError, NotRunning."""
        for raw in topic_records(self._settings, name):
            yield from self._piece(raw, f"{name} {raw.partition}:{raw.offset}")

    def _piece(
        self, raw: "RawRecord", where: str, *, must_be_utf8: bool = False
    ) -> "Iterator[Piece]":
        from learner.pretrain.corpus import Piece
        from riverrun.records import Rejection

        result = clean_document(raw) or self._pipeline.clean(raw)
        if isinstance(result, Rejection):
            if must_be_utf8 and result.reason == "not_utf8":
                raise InvalidValue(where, result.detail, "UTF-8 text")
            self._reject(result.reason, f"{where}: {result.detail}")
            return
        marks = self._pipeline.fingerprint(result, raw.topic)
        if marks is not None:
            keys = {marks.exact, *marks.bands}
            if not self._seen.isdisjoint(keys):
                self._reject("duplicate", f"{where}: repeats an earlier text")
                return
            self._seen |= keys
        yield Piece(raw.partition, raw.offset, result)

    def _reject(self, reason: str, told: str) -> None:
        self.rejected[reason] += 1
        if sum(self.rejected.values()) <= MAX_SHOWN:
            self._complain(f"no document: {told} ({reason})")


def raw_records(path: Path, partition: int) -> "Iterator[RawRecord]":
    """The records of a file; its time is theirs. Offsets count lines or paragraphs, from 0."""
    from stream.raw_record import RawRecord

    name = path.name.removesuffix(".gz")
    source = name.encode()[:200].decode(errors="ignore")
    modified_ms = path.stat().st_mtime_ns // 1_000_000
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with cast("IO[bytes]", opener(path, "rb")) as file:
            is_json = Path(name).suffix in JSON_LINES
            kind = b"application/json" if is_json else b"text/plain"
            headers = {"content-type": kind, "source": source.encode()}
            for offset, value in lines(file) if is_json else paragraphs(file):
                yield RawRecord("raw", partition, offset, modified_ms, None, value, headers)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidValue("FILES", str(path), f"a whole gzip file ({error})") from None


def lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file):
        if line.strip():
            yield number, line.strip()


def paragraphs(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Neighbours together, by the number of the first; a paragraph ends with an empty line."""
    gathered: list[bytes] = []
    number, first, num_bytes, is_open = -1, 0, 0, False
    for line in file:
        if not line.strip():
            is_open = False
            continue
        if not is_open:
            is_open = True
            number += 1
            if num_bytes and num_bytes + len(line) > RECORD_BYTES:
                yield first, b"".join(gathered)
                gathered, num_bytes = [], 0
            if gathered:
                gathered.append(b"\n")
            else:
                first = number
        gathered.append(line)
        num_bytes += len(line)
    if gathered:
        yield first, b"".join(gathered)


def clean_document(raw: "RawRecord") -> "Document | None":
    """The document of a record that the stream has cleaned already."""
    import msgspec

    from riverrun.records import RAW_OFFSET_HEADER, Document

    if RAW_OFFSET_HEADER not in raw.headers:
        return None
    try:
        return msgspec.json.decode(raw.value or b"", type=Document)
    except msgspec.DecodeError:
        return None


def topic_records(settings: "Settings", name: str) -> "Iterator[RawRecord]":
    """All that the topic holds at the beginning, partition by partition."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    from riverrun.kafka import bootstrap_servers, client_options, why
    from stream.raw_record import RawRecord

    servers = bootstrap_servers(settings, 10.0)
    timeout_s = settings.kafka.request_timeout_s
    try:
        consumer = KafkaConsumer(
            **client_options(settings.kafka, servers),
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
    except (KafkaError, OSError) as error:
        reason = why(settings.kafka, error)
        raise BrokerError(f"Kafka at {', '.join(servers)} does not answer: {reason}") from error
    try:
        found = consumer.partitions_for_topic(name)
        if not found:
            raise InvalidValue("--topic", name, f"a topic of Kafka at {', '.join(servers)}")
        places = [TopicPartition(name, partition) for partition in sorted(found)]
        ends = consumer.end_offsets(places)
        for place in places:
            consumer.assign([place])
            consumer.seek(place, consumer.beginning_offsets([place])[place])
            deadline = time.monotonic() + timeout_s
            while consumer.position(place) < ends[place]:
                if time.monotonic() > deadline:
                    raise BrokerError(f"Kafka gave nothing of {name} within {timeout_s:g} s")
                for record in consumer.poll(timeout_ms=500).get(place, []):
                    deadline = time.monotonic() + timeout_s
                    if record.offset < ends[place]:
                        yield RawRecord(
                            name,
                            place.partition,
                            record.offset,
                            record.timestamp,
                            record.key,
                            record.value,
                            dict(record.headers),
                        )
    except KafkaError as error:
        raise BrokerError(f"{name} cannot be read: {error!r}") from error
    finally:
        consumer.close()
