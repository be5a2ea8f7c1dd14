"""A request of the Admin service as the command that the `control` topic takes.

Called by `serving/services/admin.py`.
"""

from typing import Any

import msgspec

from riverrun.commands import Command, CommandKind, RawRange, new_command
from riverrun.errors import InvalidValue
from riverrun.v1 import admin_pb2 as pb
from serving.requests.identifiers import bounded_text, identifier, version_name

DEFAULT_WAIT_S = 10.0
MAX_WAIT_MS = 600_000
MAX_REASON_BYTES = 1024
MAX_SOURCE_BYTES = 256
MAX_RANGES = 1000
MAX_OFFSET = 2**63 - 1
"""Kafka's."""


def command_of(kind: CommandKind, order: pb.Order, by: str, **what: Any) -> Command:
    """
    Raises:
        InvalidValue: an id that is none, a reason that is too long.
    """
    bounded_text("order.reason", order.reason, MAX_REASON_BYTES)
    command = new_command(kind, by, reason=order.reason, **what)
    if order.command_id:
        command_id = identifier("order.command_id", order.command_id)
        command = msgspec.structs.replace(command, id=command_id)
    return command


def wait_s(order: pb.Order) -> float:
    """How long the caller wants to wait for the learner.

    Raises:
        InvalidValue: too long.
    """
    if not order.HasField("wait_ms"):
        return DEFAULT_WAIT_S
    if order.wait_ms > MAX_WAIT_MS:
        raise InvalidValue("order.wait_ms", order.wait_ms, f"0 to {MAX_WAIT_MS}")
    return order.wait_ms / 1000


def source_of(value: str) -> str:
    """
    Raises:
        InvalidValue: empty or too long.
    """
    return bounded_text("source", value, MAX_SOURCE_BYTES, min_bytes=1)


def undone_by(request: pb.UndoRequest) -> dict[str, Any]:
    """What an UndoRequest wants taken out, as `new_command` names it.

    Raises:
        InvalidValue: nothing, an empty name, ranges that are none.
    """
    kind = request.WhichOneof("what")
    if kind == "source":
        return {"source": source_of(request.source)}
    if kind == "version_id":
        return {"version": version_name("version_id", request.version_id)}
    if kind == "ranges":
        return {"ranges": _ranges(request.ranges)}
    raise InvalidValue("what", None, "ranges, a source or a version_id")


def _ranges(given: pb.RawRanges) -> list[RawRange]:
    if not 1 <= len(given.ranges) <= MAX_RANGES:
        allowed = f"1 to {MAX_RANGES} ranges"
        raise InvalidValue("ranges.ranges", f"{len(given.ranges)} ranges", allowed)
    for i, one in enumerate(given.ranges):
        field = f"ranges.ranges[{i}]"
        if one.last > MAX_OFFSET:
            raise InvalidValue(f"{field}.last", one.last, f"0 to {MAX_OFFSET}")
        if one.first > one.last:
            raise InvalidValue(f"{field}.first", one.first, f"at most `last` ({one.last})")
    return [RawRange(partition=r.partition, first=r.first, last=r.last) for r in given.ranges]
