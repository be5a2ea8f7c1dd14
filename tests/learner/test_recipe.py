"""The recipe is the kind's numbers with the operator's instead, and its hash names them."""

import msgspec
import pytest

from learner.recipe import PRETRAINED, SCRATCH, Recipe, kind_of, resolve, rhythm_of
from learner.strategies.registry import strategy_of
from riverrun.errors import InvalidValue
from riverrun.settings import LearnerSettings


def test_what_the_operator_does_not_set_is_the_kinds_own() -> None:
    assert resolve(LearnerSettings(), "scratch") == SCRATCH
    assert resolve(LearnerSettings(), "pretrained") == PRETRAINED


def test_what_the_operator_sets_holds() -> None:
    settings = LearnerSettings(lr=0.5, max_passes=7, origin_texts=0, strategy="finetune")
    recipe = resolve(settings, "pretrained")
    assert (recipe.lr, recipe.max_passes, recipe.origin_texts) == (0.5, 7, 0)
    assert recipe.strategy == "finetune"


def test_the_hash_differs_when_any_number_does() -> None:
    hashes = {SCRATCH.hash(), PRETRAINED.hash()}
    for lr in (1e-3, 1e-4):
        hashes.add(resolve(LearnerSettings(lr=lr), "scratch").hash())
    assert len(hashes) == 4


def test_the_rhythm_changes_no_hash() -> None:
    often = LearnerSettings(publish_interval_s=0.5, checkpoint_interval_s=1, keep_checkpoints=9)
    assert resolve(often, "scratch").hash() == SCRATCH.hash()
    assert rhythm_of(often, "scratch", 5).publish_interval_s == 0.5


def test_a_row_holds_a_block() -> None:
    recipe = resolve(LearnerSettings(block_tokens=5000), "scratch")
    assert recipe.row_tokens >= 5000
    assert recipe.chunk_tokens >= 5000


def test_every_learner_setting_of_a_number_in_the_recipe_has_its_name() -> None:
    """A setting that is neither in the recipe nor in the rhythm is one of these."""
    others = {"publish_interval_s", "checkpoint_interval_s", "keep_checkpoints", "max_wait_s"}
    others |= {"publishing_share"}
    others |= {"seed", "num_threads", "nice", "metrics_port", "memory_place"}
    others |= {"lease_s", "checkpoint_ladder_s", "require_identical"}
    assert set(LearnerSettings.model_fields) - others <= set(Recipe.__struct_fields__)


def test_tiny_starts_from_nothing_and_others_do_not() -> None:
    assert kind_of("tiny") == "scratch"
    assert kind_of("smollm2") == kind_of("hf:someone/model") == "pretrained"


def test_an_unknown_strategy_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(
        InvalidValue, match=r"learner.strategy: 'magic' .*`finetune`.* replay, dark"
    ):
        strategy_of(msgspec.structs.replace(SCRATCH, strategy="magic"))
