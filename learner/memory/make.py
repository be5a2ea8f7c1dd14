"""The memory that a recipe asks for. Called by `state.py`, before anything is learned."""

from collections.abc import Mapping

from learner.memory.places import Place
from learner.memory.policy import Tuning
from learner.memory.replay import HOST, Extra, Memory
from learner.recipe import Recipe
from riverrun.errors import InvalidValue


def memory_of(
    recipe: Recipe, extras: Mapping[str, Extra] | None = None, place: Place = HOST
) -> Memory:
    """Raises InvalidValue for a policy or a place that there is not, and for a memory that holds
    less than one step wants of it."""
    least = replayed_blocks(recipe)
    if recipe.memory_blocks < least:
        allowed = (
            f"from {least}: a step of learner.max_step_tokens {recipe.max_step_tokens} in blocks "
            f"of learner.block_tokens {recipe.block_tokens} replays so many at "
            f"learner.replay_share {recipe.replay_share:g}"
        )
        raise InvalidValue("learner.memory_blocks", recipe.memory_blocks, allowed)
    return Memory(
        recipe.memory_blocks,
        recipe.block_tokens,
        policy=recipe.memory_policy,
        tuning=Tuning(recipe.memory_half_life, recipe.memory_power),
        extras=extras,
        place=place,
    )


def replayed_blocks(recipe: Recipe) -> int:
    """Blocks that a full step of full blocks replays; at least one."""
    num_new = -(-recipe.max_step_tokens // recipe.block_tokens)
    return max(1, round(num_new * recipe.replay_share / (1 - recipe.replay_share)))
