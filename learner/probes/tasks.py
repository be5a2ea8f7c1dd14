"""Probe files: JSON lines, one task a line; a file is a group, unless its lines name another.

    cloze      prompt, right, wrong: [...]     the right ending is likelier, byte for byte
    tendency   prompt, prefers, over           of two endings, which one is likelier
    question   prompt, answers: [...]          an answer that is written has one of the strings
    text       text                            its perplexity is at most 1.25 times the untouched

`chat: true` asks in the form of the model's chat template.

Knows nothing of models. Called by `examiner.py`.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from riverrun.errors import InvalidValue


class Cloze(msgspec.Struct, frozen=True, tag="cloze", tag_field="kind", forbid_unknown_fields=True):
    prompt: str
    right: str
    wrong: list[str]
    chat: bool = False
    group: str | None = None


class Tendency(
    msgspec.Struct, frozen=True, tag="tendency", tag_field="kind", forbid_unknown_fields=True
):
    prompt: str
    prefers: str
    over: str
    chat: bool = False
    group: str | None = None


class Question(
    msgspec.Struct, frozen=True, tag="question", tag_field="kind", forbid_unknown_fields=True
):
    prompt: str
    answers: list[str]
    chat: bool = False
    group: str | None = None


class Prose(msgspec.Struct, frozen=True, tag="text", tag_field="kind", forbid_unknown_fields=True):
    text: str
    group: str | None = None


Task = Cloze | Tendency | Question | Prose
Groups = dict[str, list[Task]]

GENERAL = ("knowledge", "reasoning")
"""Groups that the knowledge budget counts."""
GUARDRAILS = "guardrails"
GROUP = re.compile("[a-z_]*[a-z][a-z_]*")
"""What rules can name (`settings/gate_rules.py`)."""


def built_in() -> Groups:
    """The groups that come with riverrun."""
    found: Groups = {}
    for file in sorted(resources.files("riverrun.probes").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".jsonl"):
            name = file.name.removesuffix(".jsonl").replace("-", "_")
            found[name] = [task for _, task in _read(file.read_bytes(), name, file.name)]
    return found


def from_files(paths: Sequence[Path]) -> Groups:
    """Raises InvalidValue that names file, line and field."""
    found: Groups = {}
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InvalidValue("gate.probe_files", str(path), f"a file ({error})") from None
        name = "".join(c if c.isalpha() else "_" for c in path.stem.lower())
        for group, task in _read(data, name, str(path)):
            found.setdefault(group, []).append(task)
    return found


def _read(data: bytes, group: str, place: str) -> list[tuple[str, Task]]:
    found: list[tuple[str, Task]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            task = msgspec.json.decode(line, type=Task)
        except msgspec.DecodeError as error:
            told = line[:80].decode(errors="replace")
            raise InvalidValue(f"{place}, line {number}", told, f"a task ({error})") from None
        strings = _strings(task)
        if not strings or not all(strings):
            told = line[:80].decode(errors="replace")
            raise InvalidValue(f"{place}, line {number}", told, "texts that are not empty")
        name = task.group or group
        if GROUP.fullmatch(name) is None:
            raise InvalidValue(
                f"{place}, line {number}", name, "a group of letters from a to z and `_`"
            )
        found.append((name, task))
    return found


def _strings(task: Task) -> list[str]:
    match task:
        case Cloze():
            return [task.prompt, task.right, *(task.wrong or [""])]
        case Tendency():
            return [task.prompt, task.prefers, task.over]
        case Question():
            return [task.prompt, *(task.answers or [""])]
        case Prose():
            return [task.text]


def key_of(tasks: Sequence[Task]) -> str:
    """Equal exactly when the tasks are."""
    return hashlib.sha256(msgspec.json.encode(tasks)).hexdigest()[:16]
