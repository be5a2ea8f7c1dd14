"""`riverrun generate` against a running server."""

import json

import pytest

from riverrun.cli import main
from tests.serving.published import Published
from tests.serving.running_server import RunningServer


def test_it_finds_the_server_by_the_data_directory_and_streams(
    published: Published, server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    version = published.store.promoted()
    assert version is not None
    at = ["--data-dir", str(published.root)]
    assert main(["generate", "the river", *at, "--max-tokens", "9"]) == 0
    assert capsys.readouterr().out == published.greedy(version, "the river", 9) + "\n"


def test_json_is_one_object_with_the_whole_answer(
    published: Published, server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    version = published.store.promoted()
    assert version is not None
    options = ["--address", server.address, "--json", "--max-tokens", "9"]
    assert main(["generate", "the river", *options]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == published.greedy(version, "the river", 9)
    assert answer["version"]["id"] == version
    assert answer["finish_reason"] in ("length", "end")
    assert answer["completion_tokens"] <= 9


def test_sampling_options_reach_the_server(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--address", server.address, "--temperature", "1", "--top-k", "40", "--chat"]
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["generate", "hello", *options, "--seed", seed, "--top-p", "0.9"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--temperature", "-1"], "sampling.temperature"),
        (["--max-tokens", "-1"], "max_tokens"),
        (["--stop", ""], "stop[0]"),
    ],
)
def test_a_bad_value_is_one_clear_line(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    assert main(["generate", "x", "--address", server.address, *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_no_server_is_said_so(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--data-dir", str(published.root)]) == 1
    assert "serving is not running" in capsys.readouterr().err
