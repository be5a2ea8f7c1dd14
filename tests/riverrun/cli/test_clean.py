"""`riverrun clean`: what a reader of its output can rely on."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from riverrun.cli.clean import clean

RIVER = "The river stands high this morning and the ferry is late again, they say."

LINES = [
    "donâ€™t mail jane@river.example.org",
    "",
    '{"text": 5}',
    "   ",
    RIVER,
    RIVER,
    "ok",
]


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(clean, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "river.txt"
    path.write_text("\n".join(LINES))
    return path


def test_every_change_and_rejection_is_told_with_its_line(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "# line 1 default (text)",
        "#   repair: -2 characters: 'â€™' -> '’'",
        "#   pii: -15 characters: 'jane@river.example.org' -> '[EMAIL]'",
        "don’t mail [EMAIL]",
        "# line 3 rejected by record: bad_field: text: got 5, wanted a string",
        "# line 5 default (text, en)",
        RIVER,
        "# line 6 rejected by duplicates: duplicate: line 5 has the same text",
        "# line 7 default (text)",
        "ok",
    ]
    assert result.stderr.splitlines() == [
        "5 records, 3 documents; changed by pii 1; changed by repair 1; rejected: bad_field 1; "
        "rejected: duplicate 1"
    ]


def test_a_program_reads_the_same_as_json(file: Path) -> None:
    rows = [json.loads(line) for line in run(file, "--json").stdout.splitlines()]
    assert [row["line"] for row in rows] == [1, 3, 5, 6, 7]
    assert [row["rejected_by"] for row in rows] == [None, "record", None, "duplicates", None]
    assert [change["stage"] for change in rows[0]["changes"]] == ["repair", "pii"]
    assert rows[1]["result"]["reason"] == "bad_field"


def test_a_packed_file_a_plain_one_and_a_pipe_give_the_same(file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "river.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    told = {run(packed).stdout, run(file).stdout, run("-", stdin=file.read_bytes()).stdout}
    assert len(told) == 1


def test_what_is_no_whole_gzip_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    for name, content in (("cut.gz", gzip.compress(b"text\n" * 9999)[:-20]), ("no.gz", b"text")):
        (tmp_path / name).write_bytes(content)
        result = run(tmp_path / name, "--quiet")
        assert result.exit_code == 2
        assert name in result.stderr


def test_the_whole_file_may_be_one_record_of_a_kind() -> None:
    page = b"<h1>Ferry</h1>\n\n<p>It is late.</p>"
    result = run("-", "--whole", "--content-type", "text/html", stdin=page)
    assert result.stdout.endswith("\nFerry\n\nIt is late.\n")
    assert result.stderr == "1 record, 1 document; changed by markup 1\n"


def test_another_profile_is_chosen_by_name_and_a_wrong_one_refused(file: Path) -> None:
    assert "rejected by quality: too_few_words: 1 words" in run(file, "--profile", "prose").stdout
    result = run(file, "--profile", "porse")
    assert result.exit_code != 0
    assert "prose" in str(result.exception)
