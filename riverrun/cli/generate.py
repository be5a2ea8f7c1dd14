"""`riverrun generate`: one prompt to the running server, its answer as it comes.

Finds the server by the data directory, unless it is told an address.
"""

import sys
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import as_json as as_json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.client import Client
    from riverrun.settings import Settings

FIND_TIMEOUT_S = 2.0
"""A server that is ready is found at once; this long we wait for one that just restarts."""


@click.command()
@click.argument("prompt")
@settings_options(running=True)
@click.option("--chat", is_flag=True, help="The prompt is a user's message, not text to continue.")
@click.option(
    "--max-tokens", type=int, default=0, show_default="128", help="Tokens of the answer at most."
)
@click.option(
    "--temperature", type=float, default=0.0, show_default=True, help="0 is greedy, up to 100."
)
@click.option("--top-k", type=int, default=0, show_default="all", help="The k likeliest tokens.")
@click.option("--top-p", type=float, show_default="1", help="The likeliest that sum to this.")
@click.option("--min-p", type=float, default=0.0, help="Least share of the likeliest's chance.")
@click.option("--repetition-penalty", type=float, show_default="1", help="Above 1: new words.")
@click.option(
    "--seed",
    type=int,
    show_default="random",
    help="The same seed, the same answer, but for rounding (float32, bfloat16).",
)
@click.option("--stop", multiple=True, help="The answer ends before this text (repeatable).")
@click.option("--address", metavar="HOST:PORT", help="A server that runs elsewhere.")
@as_json_option
def generate(
    settings: "Settings",
    prompt: str,
    chat: bool,
    max_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float | None,
    min_p: float,
    repetition_penalty: float | None,
    seed: int | None,
    stop: tuple[str, ...],
    address: str | None,
    as_json: bool,
) -> None:
    """Let the served model answer PROMPT (`-` reads it from standard input)."""
    if prompt == "-":
        prompt = sys.stdin.read()
    with _client(settings, address) as client:
        stream = client.stream(
            None if chat else prompt,
            messages=[{"role": "user", "content": prompt}] if chat else None,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
            stop=stop,
        )
        for piece in stream:
            if not as_json:
                click.echo(piece, nl=False)
                sys.stdout.flush()
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(stream.answer).decode())
    else:
        click.echo()


def _client(settings: "Settings", address: str | None) -> "Client":
    from riverrun.connect import connect
    from riverrun.workspace import Workspace

    if address is None:
        record = Workspace(settings.data_dir).wait_ready("serving", FIND_TIMEOUT_S)
        assert record.address is not None, "a ready server has an address"
        address = record.address
    return connect(settings, address)
