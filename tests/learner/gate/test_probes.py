"""What probes find of a candidate reaches the rules, its manifest and the audit log."""

from pathlib import Path

import msgspec
import torch

from learner.announcements import events_of
from learner.probes.scoring import Scorer
from learner.probes.tasks import Cloze
from learner.state import State
from learner.watch.surprise import Surprise
from riverrun.settings import GateSettings
from riverrun.settings.gate import RULES
from riverrun.store import Manifest
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1, lr=1e-5)
GUARDRAILS = tuple(rule for rule in RULES if "guardrails" in rule)


def known_tasks(tokenizer: Tokenizer) -> list[Cloze]:
    """Letter against letter, as the untouched model has it, and it is sure of each."""
    framing = fakes.stepper(tokenizer).framing
    scorer = Scorer(framing, Surprise(framing, fakes.RECIPE))
    prompts = sentences(40, seed=3)
    found = [Cloze(prompt, right, [wrong]) for prompt in prompts for right, wrong in ("ab", "ba")]
    margins = scorer.scores(fakes.model(), found)
    ordered = sorted(zip(margins, range(len(found)), strict=True), reverse=True)
    return [found[i] for _, i in ordered[:12]]


def turn_round(state: State) -> None:
    """All logits with the other sign: what was likelier is less likely."""
    with torch.no_grad():
        for weights in (dict(state.model.named_parameters()), state.average.weights()):
            weights["model.norm.weight"].neg_()


def told(manifest: Manifest) -> list[tuple[str, str | None]]:
    return [(event.kind, event.subject) for event in events_of(manifest)]


def test_a_version_that_lost_its_guardrails_is_held_and_the_loss_is_told_once(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    assert len(GUARDRAILS) == 2
    file = tmp_path / "guardrails.jsonl"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, known_tasks(tokenizer))))
    gate = GateSettings(
        judging_share=1.0, rules=GUARDRAILS, probe_files=(file,), probe_interval_s=0
    )
    texts = documents(sentences(6, seed=5), "a")
    with River(tmp_path / "river", tokenizer, RECIPE, gate) as river:
        river.learn(texts[:2])
        before = river.versions[-1]
        assert before.decision == "promote"
        assert before.metrics["kept.guardrails"] == 1.0
        assert before.metrics["lost.guardrails"] == 0.0

        turn_round(river.state)
        for text in texts[2:4]:
            river.learn([text])
        lost, still = river.versions[-2:]
        assert [lost.decision, still.decision] == ["hold", "hold"]
        assert lost.metrics["lost.guardrails"] >= 8
        for rule in GUARDRAILS:
            assert rule in lost.reason
        assert told(lost) == [("published", None), ("ability", "guardrails"), ("held", None)]
        assert told(still) == [("published", None), ("held", None)]
        assert river.store.promoted() == before.version

        turn_round(river.state)
        river.learn(texts[4:])
        assert river.versions[-1].decision == "promote"
