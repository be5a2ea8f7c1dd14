"""Strategies by the name that `learner.strategy` takes."""

from collections.abc import Callable

from learner.strategies.finetune import Finetune
from learner.strategies.protocol import Strategy
from learner.strategies.replay import Replay
from riverrun.errors import InvalidValue

STRATEGIES: dict[str, Callable[[], Strategy]] = {"finetune": Finetune, "replay": Replay}


def strategy_named(name: str) -> Strategy:
    """Raises InvalidValue, listing the names, for any other."""
    if name not in STRATEGIES:
        raise InvalidValue("learner.strategy", name, f"one of {', '.join(sorted(STRATEGIES))}")
    return STRATEGIES[name]()
