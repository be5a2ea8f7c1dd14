"""The options that many commands share.

    @settings_options(running=True)
    @as_json
    def status(settings: Settings, as_json: bool) -> None: ...

Knows nothing of the commands. `riverrun.settings` is imported when a command runs, since it costs
more time than `--help` may take.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def settings_options(running: bool = False) -> Callable[[Command], Command]:
    """Give a command the options that choose settings, and `settings` as a keyword.

    running: a client of a running system: start from what that system was started with.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(
            *args: Any,
            data_dir: Path | None,
            config: Path | None,
            model: str | None,
            strategy: str | None,
            bootstrap_servers: str | None,
            assignments: tuple[str, ...],
            **others: Any,
        ) -> Any:
            from riverrun.settings.load import load_settings

            overrides = dict(_assignment(text) for text in assignments)
            if model is not None:
                overrides["model"] = model
            if strategy is not None:
                overrides["learner.strategy"] = strategy
            if bootstrap_servers is not None:
                overrides["kafka.bootstrap_servers"] = bootstrap_servers
            settings = load_settings(data_dir, config, overrides, running=running)
            return command(*args, settings=settings, **others)

        for option in reversed(_OPTIONS):
            with_settings = option(with_settings)
        return with_settings

    return decorate


def as_json(command: Command) -> Command:
    """Give a reading command `--json`, as the keyword `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(
            f"{text!r} is not KEY=VALUE, as in --set learner.lr=1e-4", param_hint="--set"
        )
    return key.strip(), value


_OPTIONS = (
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="All that a system keeps; processes and clients meet here.  [default: riverrun-data]",
    ),
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="TOML settings.  [default: riverrun.toml in the data directory]",
    ),
    click.option("--model", metavar="NAME", help="tiny, smollm2, a directory, or hf:ORG/NAME."),
    click.option(
        "--strategy",
        metavar="NAME[+NAME…]",
        help="What a step minimizes: finetune; replay, dark, distill, origin, reptile; "
        "avalanche:EWC.",
    ),
    click.option(
        "--bootstrap-servers",
        metavar="HOST:PORT,…",
        help="Use this Kafka instead of the embedded one.",
    ),
    click.option(
        "--set",
        "assignments",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any setting, as learner.lr=1e-4 (repeatable; `riverrun config` lists them).",
    ),
)
