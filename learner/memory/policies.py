"""Policies by the name that `learner.memory_policy` takes."""

from learner.memory.balanced import Balanced
from learner.memory.loss_aware import LossAware
from learner.memory.policy import Policy
from learner.memory.recency import Recency
from learner.memory.reservoir import Reservoir
from riverrun.errors import InvalidValue

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Reservoir, Balanced, Recency, LossAware)
}


def policy_named(name: str) -> type[Policy]:
    """Raises InvalidValue, listing the names, for any other."""
    if name not in POLICIES:
        raise InvalidValue("learner.memory_policy", name, f"one of {', '.join(POLICIES)}")
    return POLICIES[name]
