"""What the gate measures, and that its decisions are history."""

from pathlib import Path

import msgspec
import pytest
import torch

from learner.actions import Action
from learner.arrival import ranges_of
from learner.entries import Decided, Learned
from learner.gate.decisions import carry_out
from learner.gate.judge import broken_weights
from learner.gate.panel import panel
from riverrun.settings import GateSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(
    fakes.RECIPE, max_passes=1, held_out_share=0.3, held_out_after=4, lr=1e-2
)
GATE = GateSettings(judging_share=1.0)
TEXTS = documents(sentences(90, seed=5), "a")


def test_every_version_has_its_decision_in_manifest_journal_and_counter(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with River(tmp_path, tokenizer, RECIPE, GATE) as river:
        river.learn(TEXTS)
        judged = river.versions[1:]
        assert len(judged) > 10
        assert all("broken_weights" in m.metrics for m in judged)
        assert "new text: too little held-out text" in judged[0].reason
        assert "of the best, on" in judged[-1].reason
        assert river.journal is not None
        entries = [e for e in river.journal.entries_from(0) if isinstance(e, Decided)]
        assert [e.step for e in entries] == [m.step for m in judged]
        assert [e.verdict for e in entries] == [m.decision for m in judged]
        promoted = sum(m.decision == "promote" for m in judged)
        counted = river.metrics.gate.decisions.labels("promote")._value.get()
        assert counted == promoted


def test_a_kill_between_decision_and_application_changes_no_bit(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """The decision is in the journal, and nothing of it was done."""
    lowered = Decided(
        0, [Action(kind="promote"), Action(kind="lower_rate", numbers={"factor": 0.3})]
    )
    bits = []
    for is_killed in (False, True):
        directory = tmp_path / str(is_killed)
        river = River(directory, tokenizer, RECIPE, GATE)
        try:
            river.learn(TEXTS[:40])
            # A step, and a decision on it that lowers the rate.
            report = river.stepper.step(river.state, [fakes.arrival(100)])
            assert report is not None
            arrival = fakes.arrival(100)
            assert river.journal is not None
            river.texts.append(arrival)
            river.journal.append(Learned(report.step, ranges_of([arrival])))
            decided = msgspec.structs.replace(lowered, step=report.step)
            river.journal.append(decided)
            if is_killed:
                river.start()

                def judge_anew(*_: object) -> Decided:
                    raise AssertionError("a decision that stands is not made again")

                river.gate.decide = judge_anew  # type: ignore[method-assign]
                river.loop.promotion.publish("resumed")
                del river.gate.decide
            else:
                carry_out(river.state, decided)
                river.loop.promotion.publish("new text")
            assert river.versions[-1].step == report.step
            assert river.versions[-1].consequences[0].kind == "rate_lowered"
            assert river.state.pace.tempo.factor == 0.3
            bits.append(fakes.bits(river.state))
        finally:
            river.close()
    # The journals' versions carry equal names, so all parts are equal.
    assert bits[0] == bits[1]


@pytest.mark.parametrize("place", [0, -1])
def test_weights_that_are_not_finite_are_held_and_gone_back_from(
    tmp_path: Path, tokenizer: Tokenizer, place: int
) -> None:
    with River(tmp_path, tokenizer, RECIPE, GATE) as river:
        river.learn(TEXTS[:40])
        weights = dict(river.state.average.weights())
        assert broken_weights(weights) == 0
        name = list(weights)[place]
        weights[name].view(-1)[3] = float("nan")
        assert broken_weights(weights) == 1
        decided = river.gate.decide(river.state, "test")
        assert decided.verdict == "roll_back"
        assert decided.numbers["broken_weights"] == 1
        assert "held_out_bits_per_byte" not in decided.numbers


def test_a_panel_is_the_same_until_the_held_out_text_changes(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with River(tmp_path, tokenizer, RECIPE, GATE) as river:
        river.learn([*TEXTS[:40], *documents(sentences(60, seed=6), "b")])
        held_out = river.state.held_out
        whole = panel(held_out, len, 10_000, 1)
        assert panel(held_out, len, 10_000, 1) == whole
        assert {sheet.source for sheet in whole} == {"a", "b"}
        small = panel(held_out, len, 400, 1)
        assert small == whole[: len(small)]
        assert {sheet.source for sheet in small} == {"a", "b"}
        assert panel(held_out, len, 1, 8) == whole[:8]
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("panel_tokens", "saved_s"), [(16, 15.0), (2048, 0.0), (2048, -100.0)])
def test_no_version_is_promoted_on_fewer_texts_than_are_evidence(
    tmp_path: Path, tokenizer: Tokenizer, panel_tokens: int, saved_s: float
) -> None:
    """Texts of many tokens, or a machine so slow that the time for more is never there: what held
    nothing back let a poison be promoted, and be what the next ones were held against."""
    gate = GateSettings(judging_share=0.15, panel_tokens=panel_tokens)
    with River(tmp_path, tokenizer, RECIPE, gate) as river:
        river.learn(TEXTS)
        river.gate.purse._saved_s = saved_s
        decided = river.gate.decide(river.state, "test")
        assert decided.numbers["panel_texts"] >= gate.least_texts
        assert "worst_ratio" in decided.numbers
        river.gate.purse._saved_s = 1e-9
        assert not river.gate.affords(), "the next one waits until as many can be paid for"
