"""The front door: `riverrun COMMAND`.

Knows the commands by name, module and one line of help; a module is imported when its command is
asked for, so that `riverrun --help` loads nothing but click. Turns every error into one line on
stderr and an exit code: 2 for usage, 1 for failure. Of the package, only this folder looks up to
`stream`, `learner`, `serving` and `bench`, and only late.
"""

import difflib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from riverrun import __version__
from riverrun.errors import RiverrunError

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "The whole system": {
        "demo": ("riverrun.cli.demo:demo", "Watch a model learn new facts while it serves."),
        "up": ("riverrun.cli.up:up", "Start everything and keep it running."),
        "down": ("riverrun.cli.down:down", "Stop a running system and wait for its end."),
        "status": ("riverrun.cli.status:status", "Show what runs, learns and serves."),
        "doctor": ("riverrun.cli.doctor:doctor", "Say what is missing here and how to get it."),
        "config": ("riverrun.cli.config:config", "Show every setting that there is."),
    },
    "Text in, answers out": {
        "produce": ("riverrun.cli.produce:produce", "Send text to be learned."),
        "tail": ("riverrun.cli.tail:tail", "Send what is appended to files, line by line."),
        "clean": ("riverrun.cli.clean:clean", "Clean text at the desk, and say what was done."),
        "dead-letters": (
            "riverrun.cli.dead_letters:dead_letters",
            "List what was rejected, show it, send it back.",
        ),
        "generate": ("riverrun.cli.generate:generate", "Let the served model answer a prompt."),
        "token": ("riverrun.cli.token:token", "Make a token for a client of serving."),
    },
    "What was learned": {
        "versions": ("riverrun.cli.versions:versions", "List the published versions."),
        "trace": ("riverrun.cli.trace:trace", "Go from a version back to the text it learned."),
        "verify": ("riverrun.cli.verify:verify", "Rebuild versions from the log, compare hashes."),
        "pretrain": ("riverrun.cli.pretrain:pretrain", "Train a model on files or a topic."),
        "model": ("riverrun.cli.model:model", "List, inspect and fetch models."),
        "bench": ("riverrun.cli.bench:bench", "Measure what the documents claim."),
    },
    "What the learner is told": {
        "tell": ("riverrun.cli.tell:tell", "Promote, hold, release, roll back, pause, resume."),
        "undo": ("riverrun.cli.undo:undo", "Take text out of the weights again."),
        "quarantine": ("riverrun.cli.tell:quarantine", "Learn nothing of a source for now."),
        "release": ("riverrun.cli.tell:release_source", "Trust a source again, learn its text."),
    },
    "One process, in the foreground": {
        "broker": ("riverrun.cli.processes:broker", "The embedded Apache Kafka."),
        "stream": ("riverrun.cli.processes:stream", "Raw text to clean documents."),
        "learner": ("riverrun.cli.processes:learner", "Clean documents to model versions."),
        "serving": ("riverrun.cli.processes:serving", "Model versions to gRPC answers."),
    },
}

TARGETS = {name: target for group in COMMANDS.values() for name, (target, _) in group.items()}

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""


class LateGroup(click.Group):
    """A group that imports a command's module when the command is named, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(TARGETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        target = TARGETS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), target
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in TARGETS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], TARGETS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TARGETS)}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        for title, group in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<8}", text) for name, (_, text) in group.items()])


@click.group(
    cls=LateGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="riverrun", message="%(prog)s %(version)s")
def root() -> None:
    """A language model that keeps learning while it serves.

    Try `riverrun demo`. Or start a system with `riverrun up`, send it text with
    `echo some text | riverrun produce -`, and ask it with `riverrun generate PROMPT`.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line (`sys.argv` unless given) and return its exit code."""
    with unwound_by_sigterm():
        return _run(args)


@contextmanager
def unwound_by_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit, so that whatever a command has begun is ended: a bench leaves no
    learner behind. Commands that know better set handlers of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _run(args: Sequence[str] | None) -> int:
    try:
        code = root.main(args=args, prog_name="riverrun", standalone_mode=False)
        # Here, and not at the interpreter's end, where a closed pipe could only be printed.
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "riverrun"
        return _fail(f"{error.format_message()} (see `{where} --help`)", error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except RiverrunError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone (`| head`). Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{place}", 1)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    return code
