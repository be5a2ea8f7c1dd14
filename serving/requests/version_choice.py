"""Which weights a request wants: `VersionChoice`, checked.

Called by `serving/requests/generate.py` and `texts.py`; `serving/pinning.py` finds the weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from riverrun.errors import InvalidValue
from riverrun.v1 import generation_pb2 as pb
from serving.requests.identifiers import version_name

MAX_PARTITIONS = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What weights must be, to answer. Nothing set: those that are live at admission.

    version: exactly this. min_version: it or a later one of its line. min_step: of this step or a
    later one. after: by raw partition, an offset that must be learned. never_defers: the version's
    own weights answer, whatever is asked.
    """

    follows: bool = False
    version: str | None = None
    min_version: str | None = None
    min_step: int = 0
    after: Mapping[int, int] = field(default_factory=dict)
    never_defers: bool = False


def wanted_of(choice: pb.VersionChoice, *, may_follow: bool) -> Wanted:
    """
    Raises:
        InvalidValue: a mode that is none, an id that cannot be one, choices that exclude others.
    """
    known = pb.VersionMode.values()
    if choice.mode not in known:
        raise InvalidValue("version.mode", choice.mode, "PINNED or FOLLOW")
    follows = choice.mode == pb.VERSION_MODE_FOLLOW
    if follows and not may_follow:
        raise InvalidValue("version.mode", "FOLLOW", "PINNED: one version for all of the batch")
    if choice.id:
        version_name("version.id", choice.id)
    if choice.min_id:
        version_name("version.min_id", choice.min_id)
    if len(choice.after) > MAX_PARTITIONS:
        allowed = f"at most {MAX_PARTITIONS} partitions"
        raise InvalidValue("version.after", f"{len(choice.after)} partitions", allowed)
    if choice.id and (follows or choice.min_id or choice.min_step or choice.after):
        raise InvalidValue(
            "version.id", choice.id, "no min_id, min_step, after or FOLLOW beside it"
        )
    return Wanted(
        follows,
        choice.id or None,
        choice.min_id or None,
        choice.min_step,
        dict(choice.after),
        choice.never_defer,
    )
