"""`riverrun bench memory` measures what it says, here at a twentieth of its size."""

import msgspec
import pytest

from bench import memory
from learner.memory.policies import POLICIES


def test_the_bench_tells_of_every_policy_and_of_avalanche_s_reservoir(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "SMALL", 50_000)
    monkeypatch.setattr(memory, "LARGE", 500_000)
    figures = memory.run(rounds=5)
    assert set(figures.policies) == set(POLICIES)
    assert figures.ms_at_1m == figures.policies["reservoir"].ms_at_1m < figures.avalanche_ms
    assert figures.step_checkpoint_bytes < figures.whole_checkpoint_bytes
    told = memory.table(figures)
    assert all(name in told for name in POLICIES)
    plain = msgspec.to_builtins(figures)
    assert {"ms_at_1m", "growth_to_10m", "avalanche_ms"} <= plain.keys()
