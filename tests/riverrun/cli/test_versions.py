"""`riverrun versions` shows what was decided, and why."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from riverrun.cli.versions import versions
from riverrun.store import Consequence, Manifest, VersionStore


def put(store: VersionStore, step: int, decision: str, reason: str) -> None:
    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=f"ab12-{step:06d}-{sha256[:8]}",
            parent=None,
            run="ab12",
            step=step,
            created_ms=1000 * step,
            model="tiny",
            config_hash="0",
            sha256=sha256,
            num_bytes=num_bytes,
            offsets={},
            learned=[],
            num_documents=step,
            num_tokens=step,
            newest_ms=None,
            metrics={"loss": 2.0, "held_out_ratio": 1.02},
            decision=decision,
            reason=reason,
            consequences=[Consequence("rate_lowered"), Consequence("quarantined", "troll")],
        )

    manifest = store.publish(lambda path: path.write_bytes(bytes([step])) and None, describe)
    if decision == "promote":
        store.promote(manifest.version)


@pytest.mark.parametrize("decision", ["hold", "roll_back"])
def test_a_decision_is_shown_with_its_rule_and_what_it_did(tmp_path: Path, decision: str) -> None:
    store = VersionStore(str(tmp_path / "store"))
    put(store, 1, "promote", "new text: held-out loss 0.9 of the best")
    put(store, 2, decision, "new text: when worst_ratio > 1.01 then hold")
    shown = CliRunner().invoke(versions, ["--data-dir", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert f"{decision.replace('_', ' ')}, rate lowered, quarantined troll" in shown.output
    assert "x1.020" in shown.output
    assert "when worst_ratio > 1.01 then hold" in shown.output
    plain = CliRunner().invoke(versions, ["--data-dir", str(tmp_path), "--json"])
    rows = json.loads(plain.output)
    assert [row["decision"] for row in rows] == ["promote", decision]
    assert rows[1]["consequences"] == ["rate lowered", "quarantined troll"]
