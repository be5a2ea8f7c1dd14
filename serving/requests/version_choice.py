"""Which weights a request wants: `VersionChoice`, checked.

The engine pins a request to what is promoted when it is admitted; any other choice is refused by
name until serving has it, never ignored. Called by `serving/requests/generate.py` and `texts.py`.
"""

from riverrun.errors import InvalidValue, Unsupported
from riverrun.v1 import generation_pb2 as pb
from serving.requests.identifiers import version_name

MAX_PARTITIONS = 1024


def check_version_choice(choice: pb.VersionChoice, *, may_follow: bool) -> None:
    """
    Raises:
        InvalidValue: a mode that is none, an id that cannot be one, choices that exclude others.
        Unsupported: a choice that this server cannot make yet.
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
    for field, is_set in (
        ("version.mode", follows),
        ("version.id", choice.id),
        ("version.min_id", choice.min_id),
        ("version.min_step", choice.min_step),
        ("version.after", choice.after),
    ):
        if is_set:
            raise Unsupported(field, "answers come from the version promoted at admission")
