"""A small learner with one of Avalanche's plugins, for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from learner.avalanche.term import AvalancheTerm
from learner.framing import Framing
from learner.origin import Origin
from learner.snapshots import state_hash
from learner.state import State
from learner.step import Stepper
from learner.strategies.registry import strategy_of
from learner.strategies.strategy import Strategy
from tests.learner import fakes

STEPS = 3
"""Of an experience."""


class Run:
    """Steps of two documents each; every third one of other words."""

    def __init__(self, directory: Path, plugin: str, **changes: object) -> None:
        recipe = replace(
            fakes.RECIPE,
            strategy=f"replay+avalanche:{plugin}" if plugin else "replay",
            **(
                {
                    "experience_steps": STEPS,
                    "experience_blocks": 8,
                    "grad_clip": 1000.0,
                    "held_out_share": 0.0,
                }
                | changes
            ),
        )
        tokenizer = fakes.tokenizer_in(directory)
        self.framing = Framing(tokenizer, recipe.framings, recipe.block_tokens, recipe.study_pairs)
        self.recipe = recipe
        self.strategy = strategy_of(recipe, self.framing.prefix)
        assert isinstance(self.strategy, Strategy)
        self.state = State(fakes.model(), recipe, self.strategy.extras)
        if self.strategy.part is not None:
            self.state.add_part("strategy", self.strategy.part)
        self.stepper = Stepper(recipe, 7, self.framing, self.strategy, Origin.empty())

    @property
    def term(self) -> AvalancheTerm:
        assert isinstance(self.strategy, Strategy)
        [term] = [t for t in self.strategy.terms.values() if isinstance(t, AvalancheTerm)]
        return term

    def go(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            report = self.stepper.step(
                self.state, [fakes.arrival(2 * number), fakes.arrival(2 * number + 1)]
            )
            assert report is not None
            assert report.is_finite

    def hash(self) -> str:
        return state_hash(self.state.parts)


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda plugin="", **changes: Run(tmp_path / "model", plugin, **changes)
