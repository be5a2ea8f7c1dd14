"""`riverrun versions`: what the store holds, newest last."""

from typing import TYPE_CHECKING, Any

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from rich.text import Text

    from riverrun.settings import Settings
    from riverrun.store import Manifest


@click.command()
@settings_options(running=True)
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the newest N.")
@json_option
def versions(settings: "Settings", last: int | None, as_json: bool) -> None:
    """List the published versions: what each one learned, and which one is served."""
    import json

    from riverrun.store import store_of

    store = store_of(settings)
    promoted = store.promoted()
    manifests = [store.manifest(version) for version in store.versions()[-(last or 0) :]]
    rows = [_row(one, promoted, store.has_weights(one.version)) for one in manifests]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        _print(rows)
    else:
        click.echo(f"no versions in {store.url} yet")


def _row(manifest: "Manifest", promoted: str | None, has_weights: bool) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "promoted": manifest.version == promoted,
        "weights": has_weights,
        "parent": manifest.parent,
        "step": manifest.step,
        "created_ms": manifest.created_ms,
        "documents": manifest.num_documents,
        "tokens": manifest.num_tokens,
        "offsets": {str(partition): offset for partition, offset in manifest.offsets.items()},
        "metrics": manifest.metrics,
        "decision": manifest.decision,
        "reason": manifest.reason,
        "consequences": [
            " ".join([one.kind.replace("_", " "), one.subject]).strip()
            for one in manifest.consequences
        ],
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in (
        "",
        "version",
        "step",
        "made",
        "documents",
        "loss",
        "held-out",
        "decision",
        "weights",
        "parent",
    ):
        right = name in ("step", "documents", "loss", "held-out")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        made = datetime.fromtimestamp(row["created_ms"] / 1000)
        loss = next((v for name, v in row["metrics"].items() if name in LOSSES), None)
        table.add_row(
            Text("●", "green") if row["promoted"] else " ",
            Text(row["version"], "bold green" if row["promoted"] else ""),
            f"{row['step']:,}",
            f"{made:%Y-%m-%d %H:%M:%S}",
            f"{row['documents']:,}",
            "-" if loss is None else f"{loss:.3f}",
            _ratio(row["metrics"].get("held_out_ratio")),
            _decision(row),
            "kept" if row["weights"] else "dropped",
            row["parent"] or "-",
        )
    console = Console(highlight=False)
    # A table that is cut where nobody sees it would be of no use to `grep`.
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)
    console.print(Text("● is what serving uses", "dim"))
    held = [row for row in rows if row["decision"] != "promote"]
    if held:
        console.print(Text(f"{held[-1]['version']}: {held[-1]['reason']}", "dim"))


def _ratio(value: float | None) -> str:
    """Held-out loss against the best version."""
    return "-" if value is None else f"x{value:.3f}"


def _decision(row: dict[str, Any]) -> "Text":
    """What the gate decided, and what it did besides."""
    from rich.text import Text

    words = [row["decision"].replace("_", " "), *row["consequences"]]
    return Text(", ".join(words), STYLES.get(row["decision"], ""))


STYLES = {"hold": "yellow", "roll_back": "red"}

LOSSES = ("prequential_loss", "loss")
