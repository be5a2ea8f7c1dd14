"""`riverrun model`: which models there are, where they lie, and fetching one.

Called by the root command, which loads this file only when it is asked for.
"""

import json
from pathlib import Path
from typing import Any

import click


@click.group()
def model() -> None:
    """List, inspect and fetch models."""


@model.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the model NAME into the cache, once, and print its directory."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from riverrun.model import zoo

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
    )
    # The bar goes to stderr: stdout is the directory, for scripts.
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(f"{doing} {name}")
            bar.update(tasks[doing], completed=done, total=total)

        directory = zoo.fetch(name, show)
    click.echo(directory)


@model.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def list_(as_json: bool) -> None:
    """List the built-in models and those that were fetched."""
    from riverrun.model import zoo

    rows = [
        {"name": name, "directory": None if place is None else str(place), "about": about}
        for name, place, about in zoo.known()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']:<10} {row['about']}")
        click.echo(f"{'':<10} {row['directory'] or 'not fetched yet'}")


@model.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def show(name: str, as_json: bool) -> None:
    """Show the shape of the model NAME, without fetching it."""
    from riverrun.errors import ModelError
    from riverrun.model import zoo

    directory = zoo.located(name)
    if directory is None:
        raise ModelError(f"{name} is not fetched yet; run `riverrun model fetch {name}`")
    facts = _facts(name, directory)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        click.echo(
            f"{key:<{width}}  {value:,}" if type(value) is int else f"{key:<{width}}  {value}"
        )


def _facts(name: str, directory: Path) -> dict[str, Any]:
    import msgspec

    from riverrun.model.config import ModelConfig
    from riverrun.tokenizer import Tokenizer

    config = ModelConfig.from_hf((directory / "config.json").read_bytes())
    tokenizer = Tokenizer(directory)
    return {
        "name": name,
        "directory": str(directory),
        "num_parameters": config.num_parameters(),
        **msgspec.to_builtins(config),
        "chat_template": tokenizer.has_chat_template,
    }
