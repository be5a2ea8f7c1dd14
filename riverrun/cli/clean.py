"""`riverrun clean FILE…`: the stream's cleaning at the desk, without a Kafka.

Runs the worker's own pipeline and says of every record what each stage changed, or why it was
rejected. Repetitions are found among the records given. Of the package, only this folder looks up
to `stream`, and late.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings
    from riverrun.settings.stream import StreamSettings
    from stream.explain import Explanation
    from stream.pipeline import Pipeline
    from stream.raw_record import RawRecord


@click.command()
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@settings_options(running=True)
@click.option("--profile", metavar="NAME", help="Instead of what the settings say of the source.")
@click.option(
    "--content-type", metavar="TYPE", help="As of the header: text/html, text/markdown, …"
)
@click.option("--source", metavar="NAME", help="As of the header: which profile is chosen.")
@click.option("--whole", is_flag=True, help="The file is one record, not a record a line.")
@click.option("--diff", "show_diff", is_flag=True, help="Show each stage's changes line by line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record, for programs.")
@click.option("--quiet", is_flag=True, help="Only the sums.")
def clean(
    settings: "Settings",
    file: click.utils.LazyFile,
    profile: str | None,
    content_type: str | None,
    source: str | None,
    whole: bool,
    show_diff: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Clean the records of FILE (`.gz` too) and explain every change and rejection.

    A record is a line, text or JSON as in the raw topic, told by its number; blank lines are
    skipped. The sums go to stderr.
    """
    from stream.explain import explain
    from stream.pipeline import Pipeline
    from stream.raw_record import RawRecord

    pipeline = Pipeline(chosen(settings.stream, profile))
    headers = {"content-type": content_type, "source": source}
    given = {name: value.encode() for name, value in headers.items() if value is not None}
    repetitions = Repetitions(pipeline)
    now_ms = round(time.time() * 1000)
    sums: Counter[str] = Counter()
    for number, value in numbered_records(file, whole):
        raw = RawRecord("raw", 0, number, now_ms, None, value, given)
        explanation = repetitions.check(raw, explain(pipeline, raw))
        count(sums, explanation)
        if as_json:
            click.echo(json_line(number, explanation))
        elif not quiet:
            show(number, explanation, show_diff)
    click.echo(summary(sums), err=True)


def chosen(stream: "StreamSettings", profile: str | None) -> "StreamSettings":
    if profile is None:
        return stream
    return stream.model_copy(
        update={"profile": profile, "profile_by_source": {}, "profile_by_topic": {}}
    )


def numbered_records(file: click.utils.LazyFile, whole: bool) -> Iterator[tuple[int, bytes]]:
    """The file's records, their bytes as they are, with the numbers of their lines from 1 on.

    Raises BadParameter when a file called `.gz` cannot be unpacked.
    """
    import gzip
    import zlib
    from typing import cast

    opened = cast("IO[bytes]", file)
    name = str(getattr(opened, "name", "-"))
    if not name.endswith(".gz"):
        yield from split(opened, whole)
        return
    try:
        with gzip.open(opened) as unpacked:
            yield from split(cast("IO[bytes]", unpacked), whole)
    # What ends in the middle is an EOFError, which click would take for a Ctrl-D.
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise click.BadParameter(f"{name}: {error}", param_hint="FILE|-") from None


def split(opened: IO[bytes], whole: bool) -> Iterator[tuple[int, bytes]]:
    if whole:
        yield 1, opened.read()
        return
    for number, line in enumerate(opened, start=1):
        if line.strip():
            yield number, line.rstrip(b"\r\n")


class Repetitions:
    """Texts of this run; the stream remembers more, and by partition."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self._seen: dict[int, int] = {}

    def check(self, raw: "RawRecord", explanation: "Explanation") -> "Explanation":
        """The same, or a rejection as a duplicate."""
        import dataclasses

        from riverrun.records import Rejection
        from stream.pipeline import rejection

        result = explanation.result
        if isinstance(result, Rejection):
            return explanation
        marks = self._pipeline.fingerprint(result, raw.topic)
        if marks is None:
            return explanation
        for key in (marks.exact, *marks.bands):
            if key in self._seen:
                first = self._seen[key]
                exact = key == marks.exact
                detail = f"line {first} has {'the same' if exact else 'nearly the same'} text"
                letter = rejection(raw, "duplicate" if exact else "near_duplicate", detail)
                return dataclasses.replace(explanation, result=letter, rejected_by="duplicates")
        self._seen.update(dict.fromkeys((marks.exact, *marks.bands), raw.offset))
        return explanation


def count(sums: Counter[str], explanation: "Explanation") -> None:
    from riverrun.records import Rejection

    result = explanation.result
    sums["records"] += 1
    if isinstance(result, Rejection):
        sums[f"rejected: {result.reason}"] += 1
    else:
        sums["documents"] += 1
        for stage in {change.stage for change in explanation.changes}:
            sums[f"changed by {stage}"] += 1


def show(number: int, explanation: "Explanation", show_diff: bool) -> None:
    from riverrun.records import Rejection

    result = explanation.result
    if isinstance(result, Rejection):
        said = f"rejected by {explanation.rejected_by}: {result.reason}: {result.detail}"
        click.secho(f"# line {number} {said}", fg="red")
    else:
        language = f", {result.language}" if result.language else ""
        said = f"{result.source} ({explanation.profile}{language})"
        click.secho(f"# line {number} {said}", fg="green")
    for change in explanation.changes:
        click.secho(f"#   {change.stage}: {change.summary()}", fg="yellow")
        if show_diff:
            for line in change.diff()[2:]:
                click.echo(f"    {line}")
    if not isinstance(result, Rejection) and not show_diff:
        click.echo(result.text)


def json_line(number: int, explanation: "Explanation") -> str:
    import msgspec

    row = {
        "line": number,
        "profile": explanation.profile,
        "result": explanation.result,
        "rejected_by": explanation.rejected_by,
        "changes": [
            {"stage": change.stage, "summary": change.summary()} for change in explanation.changes
        ],
    }
    return msgspec.json.encode(row).decode()


def summary(sums: Counter[str]) -> str:
    first = ", ".join(
        f"{sums[name]} {name.removesuffix('s') if sums[name] == 1 else name}"
        for name in ("records", "documents")
    )
    rest = sorted((name, n) for name, n in sums.items() if name not in ("records", "documents"))
    return "; ".join([first, *(f"{name} {n}" for name, n in rest)])
