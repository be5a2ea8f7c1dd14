"""Which sources of one raw partition are paused, since almost all they send is rejected.

Then a producer or a rule is broken, and what the rules still let through is not to be trusted.
While a source is paused its documents become dead letters (`paused`): they stay in `raw`, and can
be sent again. Other sources of the partition go on.

What happens is a function of the partition's records alone: their number, their Kafka times, and
the marks that end a pause (`RESUME_HEADER`), which lie between the records themselves. With the
state kept beside the committed offset, every worker that reads a record decides the same, after a
crash and after a rebalance; else a record could be rejected by one and learned through another.

Knows nothing of Kafka. Called by `Verdicts`.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import msgspec

from riverrun.records import Reason

MAX_WINDOWS = 16
MAX_PAUSES = 8
"""A partition's state has to fit into the 4 KB that Kafka keeps beside an offset."""

MAX_KEY_CHARACTERS = 32

HARMLESS: frozenset[Reason] = frozenset(("duplicate", "near_duplicate", "paused", "resumed"))
"""Reasons that speak neither of a broken producer nor of a broken rule."""

ALL = "*"

Change = Literal["paused", "resumed"]


class Window(msgspec.Struct, array_like=True):
    """Records of a source since its first rejection within the window."""

    start_ms: int
    records: int = 0
    rejected: int = 0


class Pause(msgspec.Struct, array_like=True, frozen=True):
    """since: the raw offset from which on the source is held. Times are Kafka's, ms since 1970."""

    since: int
    start_ms: int


class State(msgspec.Struct):
    """What is kept beside the committed offset."""

    windows: dict[str, Window] = msgspec.field(default_factory=dict, name="w")
    pauses: dict[str, Pause] = msgspec.field(default_factory=dict, name="p")


@dataclass(frozen=True, slots=True)
class Limits:
    """More than `rejections` and more than `share` of what came within `window_s` pauses a source
    for `pause_s`. rejections: 0 for never."""

    rejections: int
    share: float
    window_s: float
    pause_s: float


class Pauses:
    """The sources of one raw partition."""

    def __init__(self, limits: Limits, note: str = "") -> None:
        """note: what `note()` gave at the offset that comes next; raises ValueError for another."""
        self._limits = limits
        self._state = State()
        if note:
            try:
                self._state = msgspec.json.decode(note, type=State)
            except msgspec.DecodeError as error:
                raise ValueError(f"no state of pauses: {note[:100]!r} ({error})") from error

    def note(self) -> str:
        """The state, for the committed offset; empty when there is nothing to keep."""
        if not self._state.windows and not self._state.pauses:
            return ""
        return msgspec.json.encode(self._state).decode()

    def paused(self) -> list[str]:
        """The sources that are held now, by their keys."""
        return list(self._state.pauses)

    def holds(self, source: str, timestamp_ms: int) -> bool:
        """Whether this record of the source is kept back."""
        pause = self._state.pauses.get(key_of(source))
        return pause is not None and not self._is_over(pause, timestamp_ms)

    def observe(
        self, source: str, offset: int, timestamp_ms: int, reason: Reason | None
    ) -> Change | None:
        """Count a record and why it was rejected (None: it was not); what that changes."""
        key = key_of(source)
        pause = self._state.pauses.get(key)
        if pause is not None:
            if not self._is_over(pause, timestamp_ms):
                return None
            self._release(key)
        window = self._window(key, timestamp_ms, reason)
        if (
            window is not None
            and self._is_too_much(window)
            and len(self._state.pauses) < MAX_PAUSES
        ):
            self._state.windows.pop(key)
            self._state.pauses[key] = Pause(offset + 1, timestamp_ms)
            return "paused"
        return "resumed" if pause is not None else None

    def resume(self, source: str) -> list[str]:
        """End the pause of a source, or of all (`*`); the keys of those that were paused."""
        keys = list(self._state.pauses) if source == ALL else [key_of(source)]
        ended = [key for key in keys if key in self._state.pauses]
        for key in ended:
            self._release(key)
        return ended

    def _window(self, key: str, timestamp_ms: int, reason: Reason | None) -> Window | None:
        """The source's window with this record in it; None when it has no rejection in it."""
        windows = self._state.windows
        window = windows.get(key)
        # A clock that was set back ends it too: it could last for years.
        if window is not None and abs(timestamp_ms - window.start_ms) > self._window_ms:
            del windows[key]
            window = None
        is_rejected = reason is not None and reason not in HARMLESS
        if window is None and is_rejected and self._limits.rejections:
            if len(windows) == MAX_WINDOWS:
                windows.pop(next(iter(windows)))
            window = windows[key] = Window(timestamp_ms)
        if window is not None:
            window.records += 1
            window.rejected += is_rejected
        return window

    @property
    def _window_ms(self) -> float:
        return self._limits.window_s * 1000

    def _is_too_much(self, window: Window) -> bool:
        return (
            window.rejected >= self._limits.rejections
            and window.rejected > self._limits.share * window.records
        )

    def _is_over(self, pause: Pause, timestamp_ms: int) -> bool:
        return abs(timestamp_ms - pause.start_ms) >= self._limits.pause_s * 1000

    def _release(self, key: str) -> None:
        del self._state.pauses[key]
        self._state.windows.pop(key, None)


def key_of(source: str) -> str:
    """The source's name, shortened where it is long."""
    if len(source) <= MAX_KEY_CHARACTERS:
        return source
    digest = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{source[: MAX_KEY_CHARACTERS - 9]}~{digest}"
