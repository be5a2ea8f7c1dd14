"""The documents of a pretraining, frozen: read once, cut into pieces, in a file with an index.

    corpus/pieces.jsonl    [partition, offset, document], one a line
    corpus/held_out.jsonl  the same, never trained on
    corpus/index.npy       where each piece begins
    corpus/corpus.json     counts, and a SHA-256 of the pieces

A file is a partition, and the number of a line or paragraph its offset; of a topic both are
Kafka's. Frozen, so that a run which goes on after a kill sees the very same pieces, whatever became
of the files, and any piece is one read away, in whatever order. Takes the disk space of the text
until the run is done. Written beside its final name and renamed. Knows nothing of tokens.
"""

import hashlib
import mmap
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from learner.arrival import Arrival
from learner.watch.held_out import is_held_out
from riverrun.errors import CheckpointError, InvalidValue
from riverrun.records import Document
from riverrun.workspace import fsync, replace_file

PIECE_CHARACTERS = 2048
"""A longer text is cut, at line ends or spaces: a step takes whole pieces."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A document, or a part of one."""

    partition: int
    offset: int
    document: Document


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """num_documents: before they were cut. rejected: records that were none, by reason."""

    num_documents: int
    num_pieces: int
    num_held_out: int
    num_bytes: int
    rejected: dict[str, int]
    sha256: str


class Corpus:
    """A frozen one. Raises CheckpointError when it is not what was written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        pieces = directory / "pieces.jsonl"
        try:
            self.facts = msgspec.json.decode((directory / "corpus.json").read_bytes(), type=Facts)
            self._index = np.load(directory / "index.npy")
            with pieces.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{directory} cannot be read: {error}") from error
        if found != self.facts.sha256 or len(self._index) != self.facts.num_pieces + 1:
            raise CheckpointError(f"{pieces} is not what was written: {found[:16]}…")

    def __len__(self) -> int:
        return self.facts.num_pieces

    def arrival(self, number: int) -> Arrival:
        """Piece `number`, as if it came from a clean topic."""
        line = self._bytes[self._index[number] : self._index[number + 1]]
        piece = msgspec.json.decode(line, type=Piece)
        document = piece.document
        return Arrival(piece.partition, number, piece.offset, document.timestamp_ms, document)

    def held_out(self, most_bytes: int) -> list[Document]:
        """Held-out pieces of about so many bytes, from all over."""
        with (self._directory / "held_out.jsonl").open("rb") as file:
            found = [msgspec.json.decode(line, type=Piece).document for line in file]
        sizes = sum(len(document.text.encode()) for document in found)
        stride = max(1, -(-sizes // most_bytes))
        return found[::stride]

    def close(self) -> None:
        self._bytes.close()


def freeze(
    directory: Path, documents: Iterable[Piece], share: float, rejected: dict[str, int]
) -> None:
    """Write a corpus to `directory`, which is not there yet. `rejected` is filled meanwhile.

    Raises InvalidValue when there is nothing to train on.
    """
    scratch = directory.with_name(f".partial-{directory.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    digest = hashlib.sha256()
    starts, end, num_documents, num_held_out = [0], 0, 0, 0
    with (
        (scratch / "pieces.jsonl").open("wb") as pieces,
        (scratch / "held_out.jsonl").open("wb") as held_out,
    ):
        for whole in documents:
            num_documents += 1
            aside = is_held_out(whole.document.text, share)
            for piece in cut(whole):
                line = msgspec.json.encode(piece) + b"\n"
                if aside:
                    num_held_out += 1
                    held_out.write(line)
                else:
                    digest.update(line)
                    pieces.write(line)
                    end += len(line)
                    starts.append(end)
    if end == 0:
        shutil.rmtree(scratch)
        said = ", ".join(f"{n} {reason}" for reason, n in sorted(rejected.items())) or "none"
        raise InvalidValue(
            "input", f"{num_documents} documents", f"some to train on (rejected records: {said})"
        )
    np.save(scratch / "index.npy", np.array(starts, np.int64))
    facts = Facts(
        num_documents=num_documents,
        num_pieces=len(starts) - 1,
        num_held_out=num_held_out,
        num_bytes=end,
        rejected=dict(sorted(rejected.items())),
        sha256=digest.hexdigest(),
    )
    replace_file(scratch / "corpus.json", msgspec.json.format(msgspec.json.encode(facts)))
    for path in scratch.iterdir():
        fsync(path)
    scratch.rename(directory)
    fsync(directory.parent)


def cut(whole: Piece) -> Iterator[Piece]:
    """The document in pieces; a conversation stays whole."""
    document = whole.document
    if document.messages is not None or len(document.text) <= PIECE_CHARACTERS:
        yield whole
        return
    text, start = document.text, 0
    while start < len(text):
        end = min(start + PIECE_CHARACTERS, len(text))
        if end < len(text):
            # From the middle on: a piece must not be all but empty.
            middle = start + PIECE_CHARACTERS // 2
            line_end, space = text.rfind("\n", middle, end), text.rfind(" ", middle, end)
            end = next((at + 1 for at in (line_end, space) if at >= 0), end)
        if part := text[start:end].strip():
            yield msgspec.structs.replace(
                whole, document=msgspec.structs.replace(document, text=part)
            )
        start = end
