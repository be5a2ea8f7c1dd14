"""Every expression of the dashboard and the alerts, run by a real Prometheus on a real system."""

import importlib
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from riverrun.produce import Record, produce
from riverrun.workspace import free_port
from tests.system.river import River, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


def expressions() -> list[str]:
    panels = json.loads((DEPLOY / "grafana/dashboards/riverrun.json").read_text())["panels"]
    rules = (DEPLOY / "alerts.yml").read_text()
    alerts = re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)\n\s*(?:for|labels):", rules)
    of_panels = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return of_panels + [" ".join(alert.split()) for alert in alerts]


class Prometheus:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **query: str) -> Any:
        url = f"{self.url}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return answer["data"]

    def targets_up(self) -> set[str]:
        try:
            active = self.ask("targets")["activeTargets"]
        except OSError:
            return set()
        return {t["labels"]["process"] for t in active if t["health"] == "up"}


@pytest.fixture(scope="module")
def prometheus(river: River, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    directory = tmp_path_factory.mktemp("prometheus")
    configuration = (DEPLOY / "prometheus.yml").read_text()
    configuration = configuration.replace("../riverrun-data", str(river.settings.data_dir)).replace(
        "5s", "1s"
    )
    (directory / "prometheus.yml").write_text(configuration)
    shutil.copy(DEPLOY / "alerts.yml", directory)
    port = free_port()
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            found = Prometheus(port)
            wait_until(
                lambda: found.targets_up() >= {"up", "broker", "stream", "learner", "serving"},
                "Prometheus scrapes every process",
            )
            yield found
        finally:
            process.terminate()
            process.wait(30)


def test_the_dashboard_is_what_its_code_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DEPLOY / "grafana")
    written = json.loads((DEPLOY / "grafana/dashboards/riverrun.json").read_text())
    assert written == importlib.import_module("dashboard").dashboard()


def test_every_expression_runs_and_names_only_metrics_that_exist(
    river: River, prometheus: Prometheus
) -> None:
    produce(river.settings, [Record(b"Text for the dashboard."), Record(b" ")])
    with river.client() as client:
        client.generate("The ferry", max_tokens=4)
    wait_until(river.is_at_rest, "the record is learned")
    known: set[str] = set()

    def scraped() -> bool:
        known.update(entry["metric"] for entry in prometheus.ask("targets/metadata"))
        return any(name.startswith("riverrun_learner_steps") for name in known)

    wait_until(scraped, "metadata is scraped")
    asked = expressions()
    assert len(asked) > 40
    for expression in asked:
        prometheus.ask("query", query=expression)
        for name in re.findall(r"riverrun_\w+", expression):
            family = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert {name, family} & known, f"{name} in {expression!r} is no metric of ours"


def test_the_panels_show_numbers(river: River, prometheus: Prometheus) -> None:
    """Rates need two scrapes; what a busy system must show is not empty."""
    must_show = [
        "sum(rate(riverrun_stream_records_total[1m]))",
        "riverrun_learner_prequential_bits_per_byte",
        "sum(riverrun_learner_lag)",
        "riverrun_serving_version_step",
        "riverrun_process_up",
        "riverrun_broker_up",
        "sum by (topic) (riverrun_broker_end_offset)",
    ]
    assert set(must_show) <= set(expressions())
    produce(river.settings, [Record(b"More text for the dashboard.")])
    for expression in must_show:
        wait_until(
            lambda expression=expression: bool(  # type: ignore[misc]
                prometheus.ask("query", query=expression)["result"]
            ),
            f"{expression} shows something",
            within_s=30,
        )
