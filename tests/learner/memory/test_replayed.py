"""What a step finds out about replayed examples reaches the memory."""

from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from learner.batch import build
from learner.losses import logits_at, prediction_losses
from tests.learner import fakes


def test_the_memory_learns_what_each_replayed_example_cost_in_the_step(tmp_path: Path) -> None:
    recipe = replace(
        fakes.RECIPE,
        memory_policy="loss-aware",
        memory_blocks=64,
        held_out_share=0.0,
        chunk_tokens=100,
    )
    stepper, state = fakes.stepper(fakes.tokenizer_in(tmp_path), recipe), fakes.state(recipe)
    stepper.step(state, [fakes.arrival(i) for i in range(6)])
    arrivals = [fakes.arrival(i) for i in range(6, 10)]
    lesson = stepper._planner.plan(state, arrivals, 2)
    replayed = [text for text in lesson.texts if text.slot is not None]
    slots = [text.slot for text in replayed if text.slot is not None]
    assert len(slots) > 2
    expected = []
    for text in replayed:
        batch = build(stepper.framing.prefix, [text], [], 96, torch.device("cpu"))
        with torch.no_grad():
            logits_NV, _ = logits_at(state.model, batch, anchored=False)
            expected.append(float(prediction_losses(logits_NV, batch.targets_N).mean()))
    stepper.step(state, arrivals)
    found = state.memory.table["losses"][slots].tolist()
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(set(found)) > 1
