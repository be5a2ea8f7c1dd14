"""A change of language is found soon; a stream that stays as it is raises no alarm."""

import random
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from learner.watch.detectors import Detectors
from learner.watch.drift import MAX_SOURCES, Drift
from learner.watch.protocol import Finding
from tests.learner.watch.texts import changelogs, manpages


def shuffled(texts: list[str], seed: int) -> list[str]:
    return random.Random(seed).sample(texts, len(texts))


def fed(drift: Drift, texts: Iterable[str], source: str = "a") -> list[tuple[int, Finding]]:
    found = ((i, drift.see(source, text)) for i, text in enumerate(texts, 1))
    return [(i, finding) for i, finding in found if finding is not None]


@pytest.mark.parametrize("tail", ["normal", "student_3", "lognormal", "laplace"])
def test_heavy_tails_that_do_not_change_raise_no_alarm_in_100_000_documents(tail: str) -> None:
    """Group means of 16 values in deviations estimated from 64, as `drift.py` makes them."""
    rng = np.random.default_rng(7)
    draw = {
        "normal": rng.standard_normal,
        "student_3": lambda n: rng.standard_t(3, n),
        "lognormal": lambda n: rng.lognormal(0, 1, n),
        "laplace": lambda n: rng.laplace(size=n),
    }[tail]
    alarms = 0
    for _ in range(25):
        values = draw(64 + 4000)
        middle = np.median(values[:64])
        scale = 1.4826 * np.median(np.abs(values[:64] - middle))
        cut = np.clip((values - middle) / scale, -4, 4)
        cut = (cut - cut[:64].mean()) / cut[:64].std(ddof=1)
        detectors = Detectors()
        for residual in cut[64:].reshape(-1, 16).mean(1) * 4:
            verdict = detectors.update(float(residual))
            alarms += verdict is not None and verdict.level == 2
    assert alarms <= 10


def test_real_text_in_no_order_raises_no_alarm_in_ten_thousand_documents() -> None:
    drift, alarms, num = Drift(), 0, 0
    for seed in range(3):
        texts = shuffled(changelogs(), seed)
        num += len(texts)
        found = fed(drift, texts, f"pass {seed}")
        alarms += sum(finding.kind in {"drift", "narrowing"} for _, finding in found)
    assert alarms <= max(1, num // 10_000)


@pytest.mark.parametrize("seed", range(3))
def test_a_change_of_language_is_found_within_200_documents_and_ends(seed: int) -> None:
    drift = Drift()
    assert fed(drift, shuffled(manpages("en"), seed)) == []
    assert drift.levels() == {"a": "stable"}
    german = shuffled(manpages("de"), seed)
    found = [(i, f.kind) for i, f in fed(drift, german[:100])]
    at = next(i for i, kind in found if kind == "drift")
    assert at <= 64
    assert drift.levels() == {"a": "drift"}
    # It has learned the new text after 96 documents, and is calm again.
    assert [f.kind for _, f in fed(drift, german[100:])] == []
    assert drift.levels() == {"a": "stable"}


def test_another_source_that_speaks_the_language_hides_nothing() -> None:
    drift = Drift()
    fed(drift, shuffled(manpages("de"), 0), "german")
    fed(drift, shuffled(manpages("en"), 0), "a")
    found = fed(drift, shuffled(manpages("de"), 1), "a")
    assert "drift" in {finding.kind for _, finding in found}
    assert drift.levels()["german"] == "stable"


def test_one_text_again_and_again_is_called_narrowing_not_drift() -> None:
    drift = Drift()
    texts = shuffled(changelogs(), 3)[:400]
    fed(drift, texts)
    easy = min(texts, key=lambda t: drift._sources["a"].reference.bits(t.encode()[:1024]) / len(t))
    found = fed(drift, [easy] * 200)
    assert Counter(f.kind for _, f in found) == {"narrowing": 1}
    assert drift.levels() == {"a": "stable"}


def test_a_warning_ends_after_a_quiet_while() -> None:
    drift = Drift()
    fed(drift, shuffled(changelogs(), 1)[:300])
    source = drift._sources["a"]
    source.course.level, source.course.quiet = "warning", 0
    fed(drift, shuffled(changelogs(), 2)[:100])
    assert drift.levels() == {"a": "warning"}
    fed(drift, shuffled(changelogs(), 2)[100:150])
    assert drift.levels() == {"a": "stable"}


@pytest.mark.parametrize("cut", [10, 70, 150, 250, 270])
def test_restored_in_any_phase_it_has_the_same_future(cut: int) -> None:
    texts = shuffled(manpages("en"), 0)[:250] + shuffled(manpages("de"), 0)[:100]
    whole, restored = Drift(), Drift()
    fed(whole, texts[: cut // 2])
    snapshots = [whole.snapshot(whole=True)]
    snapshots[0] = snapshots[0]._replace(
        tensors={name: tensor.clone() for name, tensor in snapshots[0].tensors.items()}
    )
    fed(whole, texts[cut // 2 : cut])
    snapshots.append(whole.snapshot(whole=False))
    restored.restore(snapshots)
    assert fed(restored, texts[cut:]) == fed(whole, texts[cut:])
    one, other = whole.snapshot(whole=True), restored.snapshot(whole=True)
    assert one.facts == other.facts
    assert one.tensors.keys() == other.tensors.keys()
    assert all(bool((t == other.tensors[n]).all()) for n, t in one.tensors.items())


def test_a_frozen_reference_is_written_once() -> None:
    drift = Drift()
    fed(drift, changelogs()[:120])
    assert drift.snapshot(whole=False).tensors
    fed(drift, changelogs()[120:160])
    assert not drift.snapshot(whole=False).tensors
    assert drift.snapshot(whole=True).tensors


def test_detectors_restored_between_any_two_values_agree() -> None:
    rng = np.random.default_rng(0)
    values = [*rng.standard_normal(40), *(rng.standard_normal(40) + 3)]
    detectors = Detectors()
    for i, value in enumerate(values):
        restored = Detectors()
        restored.restore(detectors.facts())
        rest = values[i : i + 12]
        again = Detectors()
        again.restore(detectors.facts())
        assert [restored.update(v) for v in rest] == [again.update(v) for v in rest]
        assert restored.facts() == again.facts()
        mine = detectors.update(value)
        other = Detectors()
        other.restore(detectors.facts())
        assert other.facts() == detectors.facts()
        del mine
    assert any(detectors.facts().windows)


def test_sources_are_bounded_and_the_longest_silent_leaves() -> None:
    drift = Drift()
    for i in range(MAX_SOURCES + 3):
        drift.see(f"s{i}", "text")
        drift.see("s0", "text")
    levels = drift.levels()
    assert len(levels) == MAX_SOURCES
    assert "s0" in levels
    assert "s1" not in levels
