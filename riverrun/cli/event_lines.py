"""The events of a system as lines, for people: with colour on a terminal, plain elsewhere.

Called by `riverrun up`, on the supervisor's thread.
"""

from rich.console import Console
from rich.text import Text

from riverrun import __version__
from riverrun.errors import ProcessFailed, RiverrunError
from riverrun.settings import Settings
from riverrun.supervisor import Event

TAIL_LINES = 12
STYLES = {
    "ready": "green",
    "all_ready": "bold green",
    "failed": "red",
    "gave_up": "bold red",
    "killed": "red",
    "waiting": "yellow",
}


class EventLines:
    """Prints one line an event.

    A failed process's last lines are printed below it, unless they are those of its last failure.
    """

    def __init__(self, settings: Settings, elsewhere: str) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.settings = settings
        self.elsewhere = elsewhere
        self._begun = False
        self._said: dict[str | None, list[str]] = {}

    def show(self, event: Event) -> None:
        if not self._begun:
            self._begin()
        if event.kind == "ended":
            return
        style = STYLES.get(event.kind, "dim")
        line = Text(f"  {event.process or 'riverrun':<9}")
        line.append(event.text, style)
        self.console.print(line)
        if event.tail and event.tail[-1:] != self._said.get(event.process):
            self._said[event.process] = event.tail[-1:]
            for said in event.tail[-TAIL_LINES:]:
                self.console.print(Text(f"            │ {said}", "dim"))
        if event.kind == "all_ready":
            self._hint()

    def fail(self, error: RiverrunError) -> None:
        """Why the system ended, as the last line; where nothing was shown yet, with its tail."""
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text(f"error: {error}"))
        if isinstance(error, ProcessFailed) and error.tail:
            logs = self.settings.data_dir / "logs"
            console.print(Text(f"The logs are in {logs}.", "dim"))

    def _begin(self) -> None:
        self._begun = True
        settings = self.settings
        kafka = settings.kafka.bootstrap_servers or "embedded"
        self.console.print(Text(f"riverrun {__version__}", "bold"))
        for name, value in (
            ("model", settings.model),
            ("data", settings.data_dir),
            ("logs", settings.data_dir / "logs"),
            ("Kafka", kafka),
        ):
            self.console.print(Text.assemble((f"  {name:<9}", "dim"), str(value)))

    def _hint(self) -> None:
        for what, command in (
            ("teach", "echo some text | riverrun produce -"),
            ("ask", "riverrun generate PROMPT"),
            ("watch", "riverrun status --watch"),
        ):
            line = Text.assemble((f"  {what:<9}", "dim"), (f"{command}{self.elsewhere}", "cyan"))
            self.console.print(line)
