"""`riverrun token`: a new bearer token for serving, and the line that lets it in.

Only the hash goes into the file; the token is shown once.
"""

from pathlib import Path

import click

ROLES = ("read", "feedback", "admin")
NUM_BYTES = 32


@click.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="read",
    show_default=True,
    help="read: ask, and look; feedback: that, and rate answers; admin: everything.",
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the line to this file (serving.tokens_file); made if it is not there.",
)
def token(name: str, role: str, path: Path | None) -> None:
    """Make a token for NAME and print it, this once.

    Serving takes it as soon as the line is in its tokens file; delete the line to end it.
    """
    import hashlib
    import re
    import secrets

    from riverrun.errors import InvalidValue

    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise InvalidValue("NAME", name, "1 to 64 of A-Z a-z 0-9 . _ -")
    made = f"rr-{secrets.token_urlsafe(NUM_BYTES)}"
    line = f"{name} {role} sha256:{hashlib.sha256(made.encode()).hexdigest()}"
    if path is None:
        click.echo(f"for serving.tokens_file: {line}", err=True)
    else:
        _append(path, line)
    click.echo(made)


def _append(path: Path, line: str) -> None:
    """Whole, or not at all: serving may read the file at any moment."""
    from riverrun.workspace import replace_file

    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    replace_file(path, f"{before}{line}\n".encode(), mode=0o600)
