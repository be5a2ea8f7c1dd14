"""The group that the benches join."""

import click


@click.group()
def bench() -> None:
    """Measure what the documents claim, on this machine."""
