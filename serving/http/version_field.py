"""The field `version` of a body: which weights answer. Not OpenAI's; its client sends it by
`extra_body`.

The names are those of our client library, and so is what they mean (`VersionChoice` in the protos).
`NAME@VERSION` as the model is short for `{"id": VERSION}`. HTTP has no deadline, so the longest
wait stands beside what is waited for.

Called by `serving/http/requests.py`. Whether choices exclude each other is checked where gRPC's
are (`serving/requests/version_choice.py`).
"""

import math

from riverrun.errors import InvalidValue
from riverrun.v1 import generation_pb2 as pb
from serving.http.fields import Fields

LARGEST_WAIT_S = 86_400.0


def fill_version(fields: Fields, choice: pb.VersionChoice, *, streams: bool) -> float | None:
    """Into `choice`, which may have an id already; the longest wait in seconds, if it is told.

    Raises:
        InvalidValue: the field, its value and what it takes.
    """
    given = fields.object("version")
    if given is None:
        return None
    name = given.text("id")
    if name is not None:
        if choice.id not in ("", name):
            allowed = f"{choice.id!r}, as the model is named, or nothing"
            raise InvalidValue("version.id", name, allowed)
        choice.id = name
    choice.min_id = given.text("min_id") or ""
    choice.min_step = given.whole("min_step", 0, 2**63 - 1) or 0
    after = given.take("after")
    for partition, offset in _offsets(after).items():
        choice.after[partition] = offset
    if given.flag("follow"):
        if not streams:
            allowed = "false without stream: true, for a whole answer names one version"
            raise InvalidValue("version.follow", True, allowed)
        choice.mode = pb.VERSION_MODE_FOLLOW
    choice.never_defer = bool(given.flag("never_defer"))
    wait_s = given.number("wait_s")
    if wait_s is not None and not (math.isfinite(wait_s) and 0 <= wait_s <= LARGEST_WAIT_S):
        raise InvalidValue("version.wait_s", wait_s, f"seconds from 0 to {LARGEST_WAIT_S:g}")
    given.finish()
    return wait_s


def _offsets(after: object) -> dict[int, int]:
    """JSON's keys are texts: `{"0": 41}` is offset 41 of partition 0."""
    if after is None:
        return {}
    allowed = 'an object of offsets by partition, as {"0": 41}'
    if not isinstance(after, dict):
        raise InvalidValue("version.after", after, allowed)
    offsets: dict[int, int] = {}
    for partition, offset in after.items():
        if not (partition.isascii() and partition.isdigit() and int(partition) < 2**31):
            raise InvalidValue("version.after", partition, allowed)
        if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < 2**63:
            raise InvalidValue(f"version.after.{partition}", offset, "an offset, 0 or above")
        offsets[int(partition)] = offset
    return offsets
