"""What `riverrun undo` and `tell` refuse before anything is sent."""

import pytest

from riverrun.cli import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name --partition, --from and --to; or --source; or --version"),
        (["--partition", "0", "--from", "3"], "a range takes --partition, --from and --to"),
        (["--partition", "0", "--from", "3", "--to", "2"], "--from 3 is behind --to 2"),
        (["--source", "news", "--version", "v"], "name --partition, --from and --to"),
        (["--source", "news", "--partition", "0"], "name --partition, --from and --to"),
        (["--topic", "clean", "--source", "news"], "'clean' is not 'raw'"),
        (["--partition", "-1", "--from", "0", "--to", "2"], "-1 is not in the range x>=0"),
    ],
)
def test_undo_says_what_it_takes(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["undo", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_command_without_a_system_says_that_none_runs(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tell", "hold", "--data-dir", f"{tmp_path}/none"]) == 1
    assert "riverrun up" in capsys.readouterr().err
