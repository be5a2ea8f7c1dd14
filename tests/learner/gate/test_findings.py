"""What a watch finds reaches the action that the rules declare for it."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from learner.state import State
from learner.step import Stepper
from learner.step_report import StepReport
from learner.watch.protocol import Finding, Watch
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

if TYPE_CHECKING:
    from learner.lesson import Lesson

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1)


class FindsOnce(Watch):
    """Whatever it is told to find, at the third step."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def before_update(self, state: State, lesson: "Lesson") -> None:
        pass

    def after_update(self, state: State, lesson: "Lesson", report: StepReport) -> list[Finding]:
        del state, lesson
        found = Finding(kind=self._kind, subject="loss", numbers={})
        return [found] if report.step == 3 else []


@pytest.mark.parametrize(
    ("kind", "consequences", "tempo"),
    [
        ("plateau", ["rate_lowered"], (0.5, 0)),
        ("saddle", ["optimizer_reset", "rate_rewarmed"], (1.0, 3)),
        ("vanishing", ["optimizer_reset"], (1.0, 0)),
        ("minimum", [], (1.0, 0)),
    ],
)
def test_a_finding_has_its_consequence_once(
    tmp_path: Path,
    tokenizer: Tokenizer,
    kind: str,
    consequences: list[str],
    tempo: tuple[float, int],
) -> None:
    """tempo: what is left of the rate, and the update at which its warm-up began."""

    def watched(stepper: Stepper) -> Stepper:
        stepper._watches = [*stepper._watches, FindsOnce(kind)]
        return stepper

    with River(tmp_path, tokenizer, RECIPE, wrap=watched) as river:
        for document in documents(sentences(5, seed=5), "a"):
            river.learn([document])
        told = {m.step: [one.kind for one in m.consequences] for m in river.versions if m.step}
        assert told == {step: consequences if step == 3 else [] for step in range(1, 6)}
        assert (f"findings.{kind}" in river.versions[3].reason) == bool(consequences)
        left = river.state.pace.tempo
        assert (left.factor, left.warm_from) == tempo
