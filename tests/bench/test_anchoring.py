"""The bare step has no anchors, ours has no more tokens of the origin than of text."""

import msgspec

from bench.anchoring import bare_stepper, run, timed
from learner.assembly import Assembly
from learner.framing import Example
from learner.origin import remember
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes


def test_only_ours_predicts_the_origin_and_a_small_step_little_of_it(tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(
        fakes.RECIPE, strategy="replay+origin", origin_per_step=8, replay_share=0.0
    )
    assembly = Assembly(recipe, 0, fakes.model(), tokenizer)
    examples = [Example([i, *range(1, 20)], 1) for i in range(8)]
    origin = remember(assembly.state.model, [], examples, recipe)
    assert origin is not None
    ours, bare = assembly.stepper(origin), bare_stepper(assembly, recipe)
    small = [fakes.arrival(0, text="a river of forty characters, more or less")]
    large = [fakes.arrival(i, text="a river " * 20) for i in range(1, 5)]
    assert timed(bare, assembly, small)[1] == 0
    assert timed(ours, assembly, [fakes.arrival(9, text="a" * 40)])[1] == 2 * 19
    assert timed(ours, assembly, large)[1] == 8 * 19


def test_a_model_without_an_origin_is_measured_all_the_same() -> None:
    result = run("tiny", 16, rounds=2)
    assert result.predicted_origin_tokens == 0
    assert result.ratio > 0
