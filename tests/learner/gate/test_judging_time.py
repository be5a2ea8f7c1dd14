"""Judging takes its share of a learner's time, control text and all."""

import statistics
import time
from pathlib import Path

import msgspec
import pytest
import torch

from learner.entries import Decided
from learner.gate.purse import Purse
from learner.state import State
from riverrun.settings import GateSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1, held_out_share=0.3, held_out_after=4)


def test_a_candidate_is_judged_once_all_of_it_is_paid_for(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    file = tmp_path / "control.txt"
    file.write_text("\n".join(sentences(40, seed=8)))
    gate = GateSettings(control_file=file, max_control_ratio=100.0)
    with River(tmp_path / "river", tokenizer, RECIPE, gate) as river:
        # By the learner's processor time: what else the machine does is no part of the law.
        purse = river.gate.purse = Purse(gate.judging_share, time.thread_time)
        decide = river.gate.decide
        left_s: list[float] = []

        def measured(state: State, occasion: str) -> Decided:
            assert purse.spent_share() <= gate.judging_share
            decided = decide(state, occasion)
            left_s.append(purse.saved_s)
            return decided

        monkeypatch.setattr(river.gate, "decide", measured)
        for document in documents(sentences(16, seed=5), "a"):
            river.learn([document])
        assert len(left_s) >= 10
        # The first is not paid for: nobody knows yet what it costs.
        control_s = purse.cost_s(river.gate._beside_panel)
        assert statistics.median(left_s[1:]) > -control_s / 2
        assert purse.spent_share() == pytest.approx(gate.judging_share, abs=0.01)
