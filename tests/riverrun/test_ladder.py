"""Of each period there is one that is one to two periods old, however often the rest is pruned."""

import random

import pytest

from riverrun.ladder import rungs

PERIODS_S = (3600.0, 86_400.0)


@pytest.mark.parametrize("seed", range(5))
def test_there_is_always_one_of_each_age(seed: int) -> None:
    dice = random.Random(seed)
    now_s, first_s = 1.7e9 + dice.random() * 1e6, None
    kept: list[float] = []
    for _ in range(5000):
        now_s += dice.uniform(10, 240)
        first_s = first_s or now_s
        kept.append(now_s)
        if dice.random() < 0.3:
            # The newest two, as a keeper of checkpoints does.
            chosen = rungs(kept, now_s, PERIODS_S)
            kept = [t for i, t in enumerate(kept) if i in chosen or i >= len(kept) - 2]
            assert len(kept) <= 2 + 2 * len(PERIODS_S)
            for period_s in PERIODS_S:
                if now_s - first_s > 2 * period_s + 240:
                    ages = [now_s - t for t in kept]
                    assert any(period_s - 240 <= age <= 2 * period_s for age in ages)


def test_without_periods_nothing_is_kept() -> None:
    assert rungs([1.0, 2.0], 3.0, ()) == set()


def test_the_order_does_not_matter() -> None:
    times = [100.0, 7300.0, 3700.0, 3650.0, 7250.0]
    assert {times[i] for i in rungs(times, 7400.0, (3600.0,))} == {3650.0, 7250.0}
