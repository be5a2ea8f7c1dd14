"""`riverrun config`: every setting, its default and what it takes.

Writes docs/configuration.md as well (`--markdown`); a test holds the two equal.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import as_json as json_option

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PREFACE = """\
# Configuration

<!-- Written by `riverrun config --markdown > docs/configuration.md`; a test holds them equal. -->

Layers, each above the one before it:

1. the defaults below;
2. `riverrun.toml` in the data directory, or the file that `--config` names;
3. the environment: `RIVERRUN_LEARNER__LR=1e-4`, `RIVERRUN_MODEL=tiny`;
4. the command line: `--set learner.lr=1e-4`, and the options `--data-dir`, `--model`, `--strategy`
   and `--bootstrap-servers`.

The processes of a system and the commands that talk to it (`produce`, `generate`, `status`, …)
begin from what `riverrun up` was started with instead of 2. A key that is not below is an error in
every layer.

```toml
model = "smollm2"

[learner]
lr = 1e-4

[kafka]
bootstrap_servers = "kafka-1:9092,kafka-2:9092"
```

"""


@click.command()
@click.option("--markdown", is_flag=True, help="Print docs/configuration.md.")
@json_option
def config(markdown: bool, as_json: bool) -> None:
    """Show every setting: its default, what it takes, what it is for.

    Set one with --set KEY=VALUE, RIVERRUN_SECTION__KEY in the environment, or in riverrun.toml in
    the data directory.
    """
    if markdown:
        click.echo(_markdown(), nl=False)
    elif as_json:
        click.echo(json.dumps([row for _, _, rows in _sections() for row in rows], indent=2))
    else:
        for _, about, rows in _sections():
            click.echo(f"\n{click.style(about, bold=True)}")
            for row in rows:
                click.echo(f"\n  {click.style(row['key'], fg='cyan')} = {row['default']}")
                click.echo(
                    click.wrap_text(f"{row['about']} Takes {row['takes']}.", 96, "    ", "    ")
                )


def _sections() -> Iterator[tuple[str, str, list[dict[str, str]]]]:
    """Each section's name, its sentence, and its settings."""
    from riverrun.settings import Settings
    from riverrun.settings.profile import ProfileSettings
    from riverrun.settings.rules import SECTIONS

    own = {n: field for n, field in Settings.model_fields.items() if n not in SECTIONS}
    yield "", "The system", [_row(name, field) for name, field in own.items()]
    for section, model in SECTIONS.items():
        rows = [_row(f"{section}.{name}", field) for name, field in model.model_fields.items()]
        yield section, (model.__doc__ or "").strip(), rows
    rows = [
        _row(f"stream.profiles.NAME.{name}", field)
        for name, field in ProfileSettings.model_fields.items()
    ]
    about = "An own cleaning profile; what is not set is as in the profile that it is `like`."
    yield "stream.profiles.NAME", about, rows


def _row(key: str, field: "FieldInfo") -> dict[str, str]:
    from riverrun.settings.rules import takes

    default = "unset" if field.default is None else str(field.default) or '""'
    if isinstance(field.default, tuple) and all(isinstance(one, str) for one in field.default):
        default = "; ".join(field.default) or "()"
    return {
        "key": key,
        "default": default,
        "takes": takes(field),
        "about": field.description or "",
    }


def _markdown() -> str:
    parts = [PREFACE]
    for section, about, rows in _sections():
        title = f"## `{section}`: {about}" if section else f"## {about}"
        parts.append(f"{title.rstrip('.')}\n\n| setting | default | takes | |\n|---|---|---|---|\n")
        for row in rows:
            cells = [f"`{row['key']}`", f"`{row['default']}`", row["takes"], row["about"]]
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"
