"""What an operator tells the learner: one record of the `control` topic a command.

Serving's Admin service and the command line write them with acks=all; the learner reads them in
order, notes each in its journal when it has acted, and answers with a VersionEvent that carries
the command's id. A command whose id was acted on is not acted on again, so a retry is harmless.
"""

import secrets
import time
from typing import Literal

import msgspec

CommandKind = Literal[
    "promote",
    "hold",
    "release",
    "roll_back",
    "pause",
    "resume",
    "undo",
    "release_source",
    "quarantine_source",
]
"""promote: serve `version`. hold: promote nothing until `release`. roll_back: serve `version`, or
the one before the one served, and hold. pause, resume: learning itself. undo: take `ranges`, a
`source` or what `version` learned out of the weights. release_source: learn what the quarantine
keeps of `source`, and trust it again. quarantine_source: keep what comes of it apart until then."""


class RawRange(msgspec.Struct, frozen=True, kw_only=True):
    """Raw offsets of one partition, both ends included."""

    partition: int
    first: int
    last: int


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`by` names who asked (a token's name, `cli`), for the audit log; `reason` is theirs."""

    id: str
    kind: CommandKind
    at_ms: int
    by: str
    reason: str = ""
    version: str | None = None
    source: str | None = None
    ranges: list[RawRange] = []


def new_command(
    kind: CommandKind,
    by: str,
    *,
    reason: str = "",
    version: str | None = None,
    source: str | None = None,
    ranges: list[RawRange] | None = None,
) -> Command:
    """A command with a fresh id, of this moment."""
    return Command(
        id=secrets.token_hex(8),
        kind=kind,
        at_ms=int(time.time() * 1000),
        by=by,
        reason=reason,
        version=version,
        source=source,
        ranges=ranges or [],
    )
