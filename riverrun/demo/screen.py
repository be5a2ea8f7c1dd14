"""What the demo shows: a story in lines, and while the model learns one live line of numbers.

Without a terminal the numbers come as a line every few seconds, so that a log can be read.
Knows nothing of processes; is told.
"""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table

from riverrun.demo.ask import Reply, num_right
from riverrun.demo.load import Load
from riverrun.demo.outcome import Outcome, Traced
from riverrun.status import SystemStatus

PLAIN_INTERVAL_S = 5.0
SHOWN = 46


class Screen:
    """One demo's output on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._begun = time.monotonic()
        self._plain_at = 0.0
        self._spinner: Spinner | None = None

    def say(self, text: str) -> None:
        """One line of the story, with the seconds since the start."""
        elapsed = time.monotonic() - self._begun
        self.console.print(f"[dim]{elapsed:6.1f} s[/]  {text}", highlight=False)

    def reply(self, reply: Reply) -> None:
        mark = "[green]✓[/]" if reply.is_right else "[red]✗[/]"
        question, said = _short(reply.question.question), _short(reply.text)
        self.console.print(f"          {mark} {question}  [dim]→[/] {said}", highlight=False)

    def working(self, status: SystemStatus, load: Load) -> None:
        """The numbers of this moment."""
        line = _numbers(status, load)
        if self.console.is_terminal:
            if self._spinner is None:
                self._spinner = self.console.status(line)
                self._spinner.start()
            self._spinner.update(line)
        elif time.monotonic() - self._plain_at >= PLAIN_INTERVAL_S:
            self._plain_at = time.monotonic()
            self.say(line)

    def rest(self) -> None:
        """Take the live line away."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def trace(self, traced: Traced) -> None:
        self.console.print()
        self.console.print("[bold]Where one answer comes from[/]")
        self.console.print(f"  question   {traced.question}", highlight=False)
        self.console.print(f"  answer     {traced.answer}", highlight=False)
        self.console.print(f"  version    {traced.version}", highlight=False)
        self.console.print(
            f"  learned    at step {traced.step}, from raw partition {traced.partition}, "
            f"offset {traced.raw_offset}",
            highlight=False,
        )
        self.console.print(f"  document   {traced.document}", highlight=False)

    def table(self, outcome: Outcome) -> None:
        self.console.print()
        self.console.print(_answers("Facts told through Kafka", outcome.facts_before,
                                    outcome.facts_after))  # fmt: skip
        changed = [
            (before, after)
            for before, after in zip(outcome.general_before, outcome.general_after, strict=True)
            if before.is_right != after.is_right
        ]
        if changed:
            self.console.print(
                _answers(
                    "General questions whose answer changed",
                    [before for before, _ in changed],
                    [after for _, after in changed],
                )
            )
        total = Table(title="In all", title_justify="left", show_header=False)
        total.add_row("facts learned", f"{outcome.learned} of {len(outcome.facts)}")
        total.add_row(
            "general questions",
            f"{num_right(outcome.general_before)} before, {num_right(outcome.general_after)} "
            f"after, of {len(outcome.general_before)}",
        )
        total.add_row("requests meanwhile", f"{outcome.requests}, {outcome.failed} failed")
        total.add_row("versions swapped in", f"{outcome.swaps}")
        total.add_row(
            "time", f"{outcome.learning_seconds:.0f} s of learning, {outcome.seconds:.0f} s in all"
        )
        self.console.print(total)


def _answers(title: str, before: Sequence[Reply], after: Sequence[Reply]) -> Table:
    table = Table(title=title, title_justify="left", expand=False)
    table.add_column("question", ratio=3)
    table.add_column("before", ratio=3)
    table.add_column("after", ratio=3)
    for old, new in zip(before, after, strict=True):
        table.add_row(old.question.question, _marked(old), _marked(new))
    return table


def _marked(reply: Reply) -> str:
    mark = "[green]✓[/]" if reply.is_right else "[red]✗[/]"
    return f"{mark} {_short(reply.text)}"


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("[", "\\[")
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _numbers(status: SystemStatus, load: Load) -> str:
    parts = []
    down = [p.name for p in status.processes if p.state != "ready"]
    if down:
        parts.append(f"{', '.join(down)} not ready")
    learner = status.learner
    if learner is not None:
        losses = " ".join(f"{kind} {loss:.2f}" for kind, loss in sorted(learner.loss.items()))
        parts.append(f"step {sum(learner.steps.values())}")
        parts.append(f"loss {losses or '-'}")
        parts.append(f"lag {learner.total_lag}, due {learner.due_documents or 0}")
    if status.serving is not None and status.serving.version is not None:
        parts.append(f"serving step {status.serving.version.step}")
        parts.append(f"{status.serving.load.tokens_per_s:.0f} tokens/s")
    parts.append(f"{load.requests} requests, {load.failed} failed")
    return " · ".join(parts)
