"""`riverrun trace`: from a version to the offsets, to the text that it learned."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings
    from riverrun.store import Manifest
    from riverrun.trace import CleanTopic, Missing, TracedDocument

SHORT_CHARACTERS = 160


@click.command()
@settings_options(running=True)
@click.argument("version", required=False)
@click.option("--all", "whole", is_flag=True, help="The whole line of parents, not only since one.")
@click.option("--full", is_flag=True, help="Whole texts instead of their beginnings.")
@click.option("--offsets-only", is_flag=True, help="No texts, and so no Kafka is needed.")
@json_option
def trace(
    settings: "Settings",
    version: str | None,
    whole: bool,
    full: bool,
    offsets_only: bool,
    as_json: bool,
) -> None:
    """Show what VERSION learned since its parent, back to the text (default: the served one)."""
    import contextlib

    from riverrun.errors import UnknownVersion
    from riverrun.store import store_of
    from riverrun.trace import CleanTopic, line_of

    store = store_of(settings)
    version = version or store.promoted()
    if version is None:
        raise UnknownVersion(f"no version is promoted in {store.url} yet; name one")
    line = list(line_of(store, version, whole=whole))
    needs_kafka = not offsets_only and any(manifest.learned for manifest in line)
    with contextlib.ExitStack() as stack:
        topic = stack.enter_context(CleanTopic(settings)) if needs_kafka else None
        if as_json:
            click.echo(json.dumps([_as_dict(one, topic) for one in line], indent=2))
        else:
            for manifest in line:
                _print(manifest, topic, full=full)


def _found(manifest: "Manifest", topic: "CleanTopic") -> Iterator["TracedDocument | Missing"]:
    for span in manifest.learned:
        yield from topic.read(span, manifest.left_out)


def _as_dict(manifest: "Manifest", topic: "CleanTopic | None") -> dict[str, Any]:
    import msgspec

    from riverrun.trace import TracedDocument

    found = [] if topic is None else list(_found(manifest, topic))
    documents, missing = [], []
    for one in found:
        if isinstance(one, TracedDocument):
            coordinates = msgspec.to_builtins(one)
            documents.append({**coordinates, **coordinates.pop("document")})
        else:
            missing.append(msgspec.to_builtins(one))
    return {
        "version": manifest.version,
        "parent": manifest.parent,
        "replaces": manifest.replaces,
        "step": manifest.step,
        "created_ms": manifest.created_ms,
        "offsets": {str(partition): offset for partition, offset in manifest.offsets.items()},
        "spans": msgspec.to_builtins(manifest.learned),
        "documents": documents,
        "missing": missing,
    }


def _print(manifest: "Manifest", topic: "CleanTopic | None", *, full: bool) -> None:
    from riverrun.trace import TracedDocument

    num = sum(span.num_documents for span in manifest.learned)
    since = f"since {manifest.parent}" if manifest.parent else "since the beginning"
    if manifest.replaces is not None:
        since += f" (its run replaces {manifest.replaces})"
    title = click.style(manifest.version, bold=True)
    click.echo(f"{title}  step {manifest.step:,}, {_documents(num)} {since}")
    if topic is None:
        for span in manifest.learned:
            click.echo(
                f"  step {span.step:,}  raw {span.partition} @ {span.raw_first}-{span.raw_last}  "
                f"clean {span.partition} @ {span.clean_first}-{span.clean_last}  "
                f"{_documents(span.num_documents)}"
            )
        return
    for one in _found(manifest, topic):
        if isinstance(one, TracedDocument):
            document = one.document
            name = f"  id {document.id}" if document.id is not None else ""
            place = click.style(f"raw {one.partition} @ {one.raw_offset}", fg="cyan")
            click.echo(f"  {place}  step {one.step:,}  source {document.source}{name}")
            text = document.text if full else _beginning(document.text)
            click.echo("".join(f"    {row}\n" for row in text.splitlines()), nl=False)
        else:
            click.secho(
                f"  clean {one.partition} @ {one.clean_first}-{one.clean_last}: "
                "Kafka no longer has these records (retention)",
                fg="red",
            )


def _beginning(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHORT_CHARACTERS else f"{flat[:SHORT_CHARACTERS].rstrip()} …"


def _documents(num: int) -> str:
    return "1 document" if num == 1 else f"{num:,} documents"
