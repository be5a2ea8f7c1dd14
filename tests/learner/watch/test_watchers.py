"""Watching changes no weight, is as reproducible as the weights, and stays within its allowance."""

import math
from collections.abc import Sequence

import msgspec
import pytest
import torch
from prometheus_client import CollectorRegistry, generate_latest

from learner.framing import Framing
from learner.observe import observe_readings, observe_step
from learner.snapshots import hashes
from learner.state import State
from learner.step_report import StepReport
from learner.watch.allowance import Allowance
from learner.watch.near_future import NearFuture
from learner.watch.surprise import Surprise, wearing
from learner.watch.watchers import Watchers
from riverrun.metrics import LearnerMetrics
from riverrun.metrics.learner_watches import WatchMetrics
from riverrun.settings import WatchSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

RECIPE = msgspec.structs.replace(
    fakes.RECIPE, held_out_share=0.2, held_out_after=5, held_out_bucket_s=0.01
)
SETTINGS = WatchSettings(
    health_interval=3,
    stall_window=5,
    probe_share=1.0,
    evaluation_share=1.0,
    evaluation_tokens=400,
    near_future_gap=4,
    near_future_share=1.0,
)


class Run:
    def __init__(self, tokenizer: Tokenizer, settings: WatchSettings = SETTINGS) -> None:
        self.state = fakes.state(RECIPE)
        framing = Framing(tokenizer, RECIPE.framings, RECIPE.block_tokens)
        self.watchers = Watchers(self.state, framing, RECIPE, settings)
        self.stepper = fakes.stepper(tokenizer, RECIPE, watches=[self.watchers])

    def learn(self, numbers: Sequence[int]) -> list[StepReport]:
        reports = []
        for i in numbers:
            is_new = i % 3 or not len(self.state.rehearsal)
            arrivals = [fakes.arrival(2 * i), fakes.arrival(2 * i + 1)] if is_new else []
            report = self.stepper.step(self.state, arrivals)
            assert report is not None
            reports.append(report)
        return reports


def test_watching_changes_no_weight(tokenizer: Tokenizer) -> None:
    watched, plain = Run(tokenizer), Run(tokenizer)
    plain.stepper = fakes.stepper(tokenizer, RECIPE)
    watched.learn(range(40))
    plain.learn(range(40))
    mine, other = hashes(watched.state.parts), hashes(plain.state.parts)
    names = ("weights", "optimizer", "average", "memory", "rehearsal", "progress")
    assert all(mine[name] == other[name] for name in names)


@pytest.mark.parametrize("cut", [2, 17, 31])
def test_a_restored_state_watches_on_as_if_nothing_had_happened(
    tokenizer: Tokenizer, cut: int
) -> None:
    whole, resumed = Run(tokenizer), Run(tokenizer)
    whole.learn(range(cut // 2))
    first = _copied(whole.state, whole=True)
    whole.learn(range(cut // 2, cut))
    second = _copied(whole.state, whole=False)
    for name, part in resumed.state.parts.items():
        told = [first[name], second[name]]
        part.restore(told[1:] if told[1].is_whole else told)
    after = [(r.findings, r.readings) for r in whole.learn(range(cut, 40))]
    assert [(r.findings, r.readings) for r in resumed.learn(range(cut, 40))] == after
    assert hashes(resumed.state.parts) == hashes(whole.state.parts)


def _copied(state: State, *, whole: bool) -> dict:  # type: ignore[type-arg]
    found = {}
    for name, part in state.parts.items():
        one = part.snapshot(whole=whole)
        found[name] = one._replace(tensors={n: t.clone() for n, t in one.tensors.items()})
    return found


def test_every_reading_has_a_series(tokenizer: Tokenizer) -> None:
    run = Run(tokenizer)
    registry = CollectorRegistry()
    metrics = LearnerMetrics(registry)
    for report in run.learn(range(80)):
        observe_step(metrics, report, 0.1)
    text = generate_latest(registry).decode()
    for name in run.watchers.readings():
        lines = [x for x in text.splitlines() if x.startswith(f"riverrun_learner_{name}")]
        assert lines, name
        assert all(math.isfinite(float(line.rsplit(" ", 1)[1])) for line in lines)
    told = {
        "ngram_bits_per_byte", "drift_state", "layer_gradient_norm", "update_ratio", "dead_units",
        "effective_rank", "held_out_bits_per_byte", "forgetting", "near_future_bits_per_byte",
    }  # fmt: skip
    assert told <= set(run.watchers.readings())


def test_a_label_that_is_no_longer_told_of_leaves_its_series_and_others_stay() -> None:
    registry = CollectorRegistry()
    metrics = WatchMetrics(registry)

    def shown() -> dict[str, float]:
        text = generate_latest(registry).decode().splitlines()
        lines = [x for x in text if x.startswith("riverrun_learner_drift_state{")]
        return {x.split('"')[1]: float(x.rsplit(" ", 1)[1]) for x in lines}

    observe_readings(metrics, {"drift_state": {"a": 1.0, "b": 2.0}})
    observe_readings(metrics, {"drift_state": {"a": 1.0, "b": 2.0}})
    assert shown() == {"a": 1.0, "b": 2.0}
    observe_readings(metrics, {"drift_state": {"b": 0.0, "c": 1.0}})
    assert shown() == {"b": 0.0, "c": 1.0}
    observe_readings(metrics, {})
    assert shown() == {"b": 0.0, "c": 1.0}


def test_near_future_is_judged_by_weights_that_saw_nothing_of_the_gap(
    tokenizer: Tokenizer,
) -> None:
    recipe = msgspec.structs.replace(RECIPE, held_out_share=0.0)
    state = fakes.state(recipe)
    framing = Framing(tokenizer, recipe.framings, recipe.block_tokens)
    surprise = Surprise(framing, recipe)
    near = NearFuture(surprise, 4, 1.0)
    stepper = fakes.stepper(tokenizer, recipe, watches=[near])
    frozen: dict[str, torch.Tensor] = {}
    for i in range(6):
        arrival = fakes.arrival(i)
        assert stepper.step(state, [arrival]) is not None
        if i == 0:
            frozen = {n: w.clone() for n, w in state.average.weights().items()}
        if i < 5:
            assert near.readings() == {}
    # Documents 1 to 4 are the gap; 5 is the first that is judged.
    rounded = {n: w.to(torch.bfloat16) for n, w in frozen.items()}
    text = fakes.arrival(5).document.text
    with wearing(state.model, rounded):
        nats = surprise.nats(state.model, [text])[0]
    bits = nats / math.log(2) / len(text)
    assert near.readings() == {
        "near_future_bits_per_byte": {"": pytest.approx(bits)},
        "near_future_gap": {"": 4.0},
    }
    with wearing(state.model, frozen):
        assert nats == pytest.approx(surprise.nats(state.model, [text])[0], rel=0.01)


def test_an_allowance_is_never_overdrawn() -> None:
    allowance, spent, earned = Allowance(), 0.0, 0
    for i in range(1000):
        earned += 100 + i
        allowance.earn(100 + i, 0.02)
        cost = 7.0 * (1 + i % 50)
        spent += cost if allowance.spend(cost) else 0.0
        assert spent <= 0.02 * earned
    assert spent > 0.9 * 0.02 * earned


def test_series_by_source_are_bounded() -> None:
    metrics = LearnerMetrics(CollectorRegistry())
    labels = {metrics.source(f"s{i}") for i in range(1000)}
    assert len(labels) == 257
    assert metrics.source("s0") == "s0"
    assert metrics.source("new") == "other"
