"""The README's Python example runs as it stands."""

import re
from pathlib import Path

import pytest

from riverrun.settings import Settings
from tests.serving.published import Published
from tests.serving.running_server import running_server

README = Path(__file__).parents[2] / "README.md"


def test_the_python_example_runs_as_it_stands(
    tmp_path: Path,
    kafka_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    published = Published(tmp_path)
    version = published.publish(1)
    kafka = kafka_settings.kafka
    assert kafka.bootstrap_servers is not None
    monkeypatch.setenv("RIVERRUN_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("RIVERRUN_KAFKA__TOPIC_PREFIX", kafka.topic_prefix)
    monkeypatch.chdir(tmp_path)
    with running_server(tmp_path, kafka=kafka) as server:
        example = example.replace("127.0.0.1:50051", server.wait_ready())
        exec(compile(example, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert published.greedy(version, "The capital of France is", 8) in printed
    assert version in printed
    assert printed.splitlines()[-1].split()[1] == "0", "the first offset of its partition"
