"""Facts and questions for the demo and the bench: files of JSON lines, checked as they are read.

Built in are eight invented facts, each told by three documents, and thirty general questions.
"""

from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from riverrun.errors import InvalidValue

MAX_ANSWER_TOKENS = 32


class Question(msgspec.Struct, frozen=True):
    """A question whose right answers contain a string, case ignored."""

    question: str
    answer: str

    def is_answered_by(self, text: str) -> bool:
        return self.answer.casefold() in text.casefold()


class Fact(msgspec.Struct, frozen=True):
    """Documents that tell something, and the question that asks for it."""

    documents: list[str]
    question: str
    answer: str

    def asked(self) -> Question:
        return Question(self.question, self.answer)


T = TypeVar("T", Fact, Question)


def read_facts(path: Path | None = None) -> list[Fact]:
    """The facts in `path`, else ours. Raises InvalidValue naming the line and what is wrong."""
    facts = _read("facts", path, Fact)
    for number, fact in enumerate(facts, start=1):
        if not fact.documents or not all(text.strip() for text in fact.documents):
            raise InvalidValue(
                f"facts line {number}: documents", fact.documents, "texts, not empty"
            )
    return facts


def read_general(path: Path | None = None) -> list[Question]:
    """The general questions in `path`, else ours."""
    return _read("general", path, Question)


def _read(name: str, path: Path | None, kind: type[T]) -> list[T]:
    try:
        if path is None:
            data = resources.files("riverrun.demo").joinpath(f"{name}.jsonl").read_bytes()
        else:
            data = path.read_bytes()
    except OSError as error:
        raise InvalidValue(name, str(path), f"a file that can be read ({error.strerror})") from None
    found: list[T] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = msgspec.json.decode(line, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shape = f"a JSON object with {', '.join(kind.__struct_fields__)} ({error})"
            raise InvalidValue(
                f"{name} line {number}", line.decode(errors="replace"), shape
            ) from None
        if not item.answer.strip() or not item.question.strip():
            raise InvalidValue(f"{name} line {number}", item, "a question and an answer, not empty")
        found.append(item)
    if not found:
        raise InvalidValue(name, str(path), "at least one line")
    return found
