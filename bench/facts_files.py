"""What `bench facts` reads: facts, general questions and control text, checked as they are read.

A fact is a JSON object a line: `documents` that tell it, `question` and `answer`. One that changes
has `before` (documents that told it otherwise, read first) and `former` (the answer that must go);
`language` only says in which it is. General questions are as those of the demo.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from riverrun.demo.questions import Question
from riverrun.errors import InvalidValue

DIRECTORY = Path(__file__).with_suffix("").with_name("facts")
"""Our own sets, in two halves: what was tuned on `tune` is reported on `report`; `hundred` is for
bursts, and nothing is tuned on it."""
REPORT = DIRECTORY / "report.jsonl"
GENERAL = DIRECTORY / "general_report.jsonl"
CONTROL = DIRECTORY / "control.txt"


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """wordings: other questions for the same answer, as users ask who have not read the documents;
    they are counted apart."""

    documents: list[str]
    question: str
    answer: str
    before: list[str] = []
    former: str | None = None
    language: str = "en"
    wordings: list[str] = []

    def is_answered_by(self, text: str) -> bool:
        """Case is ignored. A former answer beside the new one is no answer."""
        said = text.casefold()
        is_stale = self.former is not None and self.former.casefold() in said
        return self.answer.casefold() in said and not is_stale


class General(Question, frozen=True, forbid_unknown_fields=True):
    pass


T = TypeVar("T", Fact, General)


def facts_in(path: Path) -> list[Fact]:
    """Raises InvalidValue naming file, line and field."""
    numbered = _lines(path, Fact)
    for where, fact in numbered.items():
        _check_texts(f"{where}: documents", fact.documents, can_be_empty=False)
        _check_texts(f"{where}: before", fact.before)
        _check_texts(f"{where}: wordings", fact.wordings)
        if (fact.former is None) != (not fact.before):
            allowed = "documents if there is a `former` answer, and none otherwise"
            raise InvalidValue(f"{where}: before", fact.before, allowed)
        if fact.former is not None and not fact.former.strip():
            raise InvalidValue(f"{where}: former", fact.former, "an answer, not empty")
    return list(numbered.values())


def general_in(path: Path) -> list[General]:
    """Raises InvalidValue naming file, line and field."""
    return list(_lines(path, General).values())


def control_in(path: Path) -> list[str]:
    """Texts, one a line. Raises InvalidValue naming the file."""
    texts = [line for line in _read(path).splitlines() if line.strip()]
    if not texts:
        raise InvalidValue(str(path), "", "at least one line of text")
    return texts


def documents_of(facts: Sequence[Fact]) -> list[str]:
    """As they arrive: first what changes later, then each fact's first document, its second, …"""
    depth = max(len(fact.documents) for fact in facts)
    before = [text for fact in facts for text in fact.before]
    return before + [
        fact.documents[i] for i in range(depth) for fact in facts if i < len(fact.documents)
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(str(path), "", f"a UTF-8 file that can be read ({error})") from None


def _lines(path: Path, kind: type[T]) -> dict[str, T]:
    """By where they stand; blank lines are passed over."""
    found: dict[str, T] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        try:
            item = msgspec.json.decode(line, type=kind)
        except msgspec.DecodeError as error:
            # msgspec ends what it says with the path of the field: `$.answer`.
            field = str(error).partition("`$")[2].strip(".`")
            shape = f"a JSON object with {', '.join(kind.__struct_fields__)} ({error})"
            raise InvalidValue(f"{where}: {field}" if field else where, line, shape) from None
        for field in ("question", "answer"):
            if not getattr(item, field).strip():
                raise InvalidValue(f"{where}: {field}", getattr(item, field), "text, not empty")
        found[where] = item
    if not found:
        raise InvalidValue(str(path), "", "at least one line")
    return found


def _check_texts(field: str, texts: Sequence[str], *, can_be_empty: bool = True) -> None:
    if not (texts or can_be_empty) or not all(text.strip() for text in texts):
        raise InvalidValue(field, list(texts), "texts, not empty")
