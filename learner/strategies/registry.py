"""Strategies by the name that `learner.strategy` takes: terms joined by `+`, or `finetune`."""

from collections.abc import Sequence

from learner.avalanche.names import asked, is_avalanche
from learner.recipe import Recipe
from learner.strategies.dark import Dark
from learner.strategies.distill import Distill
from learner.strategies.origin_anchor import OriginAnchor
from learner.strategies.replay import Replay
from learner.strategies.reptile import Reptile
from learner.strategies.strategy import Strategy
from learner.strategies.term import Term
from riverrun.errors import InvalidValue

FINETUNE = "finetune"
"""Only the text that is at hand: the floor that everything else has to beat."""

TERMS: dict[str, type[Term]] = {
    "replay": Replay,
    "dark": Dark,
    "distill": Distill,
    "origin": OriginAnchor,
    "reptile": Reptile,
}
ALLOWED = (
    f"`{FINETUNE}`, or different ones of {', '.join(TERMS)} and `avalanche:NAME`, joined by `+`"
)


def needs_origin_memory(recipe: Recipe) -> bool:
    """Whether something has to be written and remembered before the first step."""
    return recipe.origin_texts > 0 and "origin" in recipe.strategy.split("+")


def strategy_of(recipe: Recipe, prefix: Sequence[int] = ()) -> Strategy:
    """The strategy that `recipe.strategy` names; `prefix` is the framing's.

    Raises InvalidValue for an unknown name, and for one that the recipe does not allow.
    """
    names = [] if recipe.strategy == FINETUNE else recipe.strategy.split("+")
    own = [name for name in names if not is_avalanche(name)]
    if len(set(names)) < len(names) or not set(own) <= TERMS.keys():
        raise InvalidValue("learner.strategy", recipe.strategy, ALLOWED)
    plugins = {name: asked(name) for name in names if name not in own}
    if len(plugins) > 1:
        raise InvalidValue("learner.strategy", recipe.strategy, "one of Avalanche's at most")
    terms = {name: TERMS[name](recipe, prefix) for name in own}
    for name, plugin in plugins.items():
        from learner.avalanche.term import AvalancheTerm

        terms[name] = AvalancheTerm(plugin, recipe, prefix)
    return Strategy(terms)
