"""Roles, each of which may do what the one before it may, and the least that each method takes.

Called by the guard and by both fronts.
"""

from typing import Literal, get_args

Role = Literal["read", "feedback", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

BY_SERVICE: dict[str, Role] = {
    "riverrun.v1.Generation": "read",
    "riverrun.v1.Model": "read",
    "riverrun.v1.Feedback": "feedback",
    "riverrun.v1.Admin": "admin",
}


def role_for(path: str) -> Role:
    """The least role for a gRPC path, `/package.Service/Method`.

    A service that nobody entered here takes the highest: forgetting it opens nothing.
    """
    return BY_SERVICE.get(path.rpartition("/")[0].lstrip("/"), "admin")


def may(role: Role, needed: Role) -> bool:
    return ROLES.index(role) >= ROLES.index(needed)
