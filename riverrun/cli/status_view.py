"""Draws a `SystemStatus` with rich: processes, learning, serving, and a curve of what was seen.

Called by `riverrun status`. Knows nothing of where the numbers come from.
"""

from collections import deque
from statistics import fmean

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from riverrun.status import LearnerStatus, ProcessStatus, SystemStatus

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
STATE_STYLES = {
    "ready": "green",
    "starting": "yellow",
    "draining": "yellow",
    "restarting": "bold red",
    "not running": "red",
}


class History:
    """What earlier looks saw: the losses step by step, the tokens a second."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=WIDTH)
        self.tokens_per_s: deque[float] = deque(maxlen=WIDTH)
        self._num_steps = -1

    def add(self, now: SystemStatus) -> None:
        learner = now.learner
        if learner is not None and learner.num_steps != self._num_steps:
            self._num_steps = learner.num_steps
            loss = shown_loss(learner)
            if loss is not None:
                self.losses.append(loss)
        if now.serving is not None:
            self.tokens_per_s.append(now.serving.load.tokens_per_s)


def shown_loss(learner: LearnerStatus) -> float | None:
    """The loss of new text before learning from it; before the first, of rehearsal."""
    if learner.prequential_loss is not None:
        return learner.loss.get("rehearsal", learner.prequential_loss)
    return learner.loss.get("rehearsal")


def sparkline(values: deque[float] | list[float]) -> str:
    """The values as bars between their least and their greatest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


def draw(now: SystemStatus, history: History) -> RenderableType:
    return Group(
        _heading(now),
        Panel(_processes(now.processes), title="processes", title_align="left"),
        Panel(_learning(now, history), title="learning", title_align="left"),
        Panel(_serving(now, history), title="serving", title_align="left"),
    )


def absent(reason: str) -> RenderableType:
    return Panel(Text(reason, "red"), title="riverrun", title_align="left")


def one_line(now: SystemStatus) -> str:
    """The few numbers that matter, for a log."""
    parts = [f"{process.name} {process.state}" for process in now.processes]
    if now.learner is not None:
        parts += [
            f"steps {now.learner.num_steps}",
            f"loss {_number(shown_loss(now.learner))}",
            f"lag {now.learner.total_lag}",
            f"due {_count(now.learner.due_documents)}",
        ]
    if now.serving is not None:
        version = now.serving.version
        parts += [
            f"version {version.id if version else '-'}",
            f"freshness {_seconds(now.serving.freshness_s)}",
            f"{now.serving.load.tokens_per_s:.1f} tokens/s",
        ]
    return " · ".join(parts)


def _heading(now: SystemStatus) -> Text:
    return Text.assemble(
        ("riverrun ", "bold"),
        (now.model, "bold cyan"),
        f"  {now.data_dir}  Kafka {now.bootstrap_servers or '-'}",
    )


def _processes(processes: list[ProcessStatus]) -> Table:
    table = Table.grid(padding=(0, 3))
    for name in ("process", "state", "pid", "up", "restarts", "address"):
        table.add_column(Text(name, "dim"))
    table.show_header = True
    for process in processes:
        state = Text(process.state, STATE_STYLES[process.state])
        if process.detail:
            state.append(f" ({process.detail})", "dim")
        table.add_row(
            process.name,
            state,
            _count(process.pid, plain=True),
            _duration(process.uptime_s),
            Text(_count(process.restarts), "red" if process.restarts else ""),
            "  ".join(filter(None, (process.address, process.http_address))) or "-",
        )
    return table


def _learning(now: SystemStatus, history: History) -> RenderableType:
    learner = now.learner
    if learner is None:
        return Text("the learner does not answer", "red")
    rows = _rows()
    if history.losses:
        first, last = history.losses[0], history.losses[-1]
        curve = sparkline(history.losses)
        rows.add_row("loss", Text.assemble((curve, "cyan"), f"  {first:.3f} → {last:.3f}"))
    new, rehearsal = learner.steps.get("new", 0), learner.steps.get("rehearsal", 0)
    by_partition = ", ".join(
        f"{partition}: {lag:,}" for partition, lag in sorted(learner.lag.items()) if lag
    )
    rows.add_row(
        "new text", f"{_number(learner.prequential_loss)} nats a token, before learning it"
    )
    rows.add_row("steps", f"{new:,} new, {rehearsal:,} rehearsal; rate {_number(learner.rate, 6)}")
    rows.add_row(
        "lag", f"{learner.total_lag:,} records" + (f" ({by_partition})" if by_partition else "")
    )
    rows.add_row(
        "memory",
        f"{_count(learner.memory_blocks)} blocks, {_count(learner.origin_texts)} origin texts, "
        f"{_count(learner.due_documents)} documents due",
    )
    cost = _seconds(learner.seconds_per_document)
    rows.add_row(
        "learned", f"{learner.documents:,} documents, {learner.tokens:,} tokens; {cost} a document"
    )
    if now.stream is not None:
        dead = ", ".join(f"{n:,} {reason}" for reason, n in now.stream.rejections.items() if n)
        cleaned = f"{now.stream.records:,} records, {now.stream.documents:,} documents"
        rows.add_row("stream", cleaned + (f"; dead letters: {dead}" if dead else ""))
    if (kept := older_text(learner)) is not None:
        rows.add_row("older text", Text(kept))
    if learner.held_versions:
        held = f"the newest {learner.held_versions:,} in a row; `riverrun versions` says why"
        rows.add_row("held", Text(held, "yellow"))
    if learner.quarantine:
        apart = ", ".join(f"{source}: {n:,} documents" for source, n in learner.quarantine.items())
        rows.add_row("quarantine", Text(apart, "yellow"))
    if learner.non_finite_steps:
        rows.add_row("skipped", Text(f"{learner.non_finite_steps:,} non-finite steps", "red"))
    return rows


def older_text(learner: LearnerStatus) -> str | None:
    """The retention matrix in short: the older buckets of all sources, each when it was the newest
    and as it was measured last. None before any was measured twice."""
    own, last = [], []
    for rows in learner.retention.values():
        for j in rows:
            later = [row[j] for i, row in rows.items() if i > j and j in row]
            if j in rows[j] and later:
                own.append(rows[j][j])
                last.append(later[-1])
    if not own:
        return None
    times = "1 stretch of time" if len(own) == 1 else f"{len(own)} stretches of time"
    return f"{fmean(own):.3f} → {fmean(last):.3f} bits a byte, {times} since each was new"


def _serving(now: SystemStatus, history: History) -> RenderableType:
    serving = now.serving
    if serving is None:
        return Text(now.serving_error or "serving does not answer", "red")
    rows = _rows()
    version, load = serving.version, serving.load
    if version is not None:
        rows.add_row(
            "version", f"{version.id}  step {version.step:,}, {version.documents:,} documents"
        )
    rows.add_row("freshness", f"{_seconds(serving.freshness_s)}, {serving.swaps:,} swaps")
    if history.tokens_per_s:
        curve = sparkline(history.tokens_per_s)
        rows.add_row("tokens/s", Text.assemble((curve, "cyan"), f"  {load.tokens_per_s:.1f}"))
    failed = Text(f"{load.failed:,} failed", "red" if load.failed else "")
    rows.add_row(
        "requests",
        Text.assemble(f"{load.rows} now, {load.waiting} waiting, {load.served:,} served, ", failed),
    )
    if serving.refused_versions:
        rows.add_row("refused", Text(f"{serving.refused_versions:,} versions", "red"))
    return rows


def _rows() -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", min_width=10)
    rows.add_column()
    return rows


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _count(value: int | None, *, plain: bool = False) -> str:
    if value is None:
        return "-"
    return str(value) if plain else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
