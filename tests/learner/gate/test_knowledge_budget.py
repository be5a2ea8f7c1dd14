"""A learner that would lose what it knew slows, stops rehearsing and serves no more, by itself."""

from pathlib import Path

import msgspec

from riverrun.settings import GateSettings
from riverrun.store import Manifest
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import RHYTHM, River, documents, sentences

# Each text is rehearsed for long, and nothing holds on to what the model said before.
RECIPE = msgspec.structs.replace(fakes.RECIPE, strategy="finetune", lr=1e-3, max_passes=100)
NEVER = msgspec.structs.replace(RHYTHM, publish_interval_s=1e6, rehearsal_interval_s=1e6)
BOUND = 1.3
FLOOR = 0.05


def first(versions: list[Manifest], kind: str) -> int:
    """Step of the first version with such a consequence."""
    return next(m.step for m in versions if kind in [one.kind for one in m.consequences])


def test_learning_slows_then_stops_rehearsing_then_is_not_served_and_comes_back(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    file = tmp_path / "control.txt"
    file.write_text("\n".join("0123456789"[i:] + " QUARTZ JYNX?" for i in range(4)))
    gate = GateSettings(judging_share=1.0, control_file=file, max_control_ratio=BOUND)
    texts = documents(sentences(240, seed=5), "a")
    with River(tmp_path / "river", tokenizer, RECIPE, gate) as river:
        river.learn(texts[:1])
        stopped = river.versions[-1]
        assert [one.kind for one in stopped.consequences] == ["rehearsal_stopped"]
        assert stopped.decision == "promote"
        assert 0.9 < stopped.metrics["budget_used"] < 1
        assert first(river.versions[1:], "rate_lowered") < stopped.step
        assert FLOOR < river.state.pace.tempo.factor < 0.1

        # What comes now is learned, and not repeated: not even until the next version is judged.
        river.loop.promotion.rhythm = NEVER
        for num, text in enumerate(texts[1:200], 1):
            river.learn([text])
            assert river.state.progress.step == stopped.step + num
            if river.versions[-1].decision == "hold":
                break
        held = river.versions[-1]
        assert held.decision == "hold"
        assert "budget_used > 1" in held.reason
        assert river.state.pace.tempo.factor > FLOOR
        assert all(m.metrics["control_ratio"] <= BOUND for m in river.promoted()[1:])
        assert river.store.promoted() == river.promoted()[-1].version

        # More may be lost now: documents are rehearsed again, and in time at the full rate.
        river.settings = gate.model_copy(update={"max_control_ratio": 100.0})
        river.start()
        step = river.state.progress.step
        river.learn(texts[-1:])
        assert river.versions[-1].decision == "promote"
        assert river.state.progress.step > step + 20
        assert first(river.versions, "rate_rewarmed") >= step + 16
        assert river.state.pace.tempo.factor == 1.0
