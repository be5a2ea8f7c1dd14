"""What a version is: where its weights come from, what they learned, and what was decided on them.

Knows nothing of files. Made by the learner (`learner/publish.py`); read by everybody.
"""

import msgspec

from riverrun.records import LeftOut, Span, VersionEventKind


class Consequence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the decision on a version did besides; a line of the audit log. subject: a source, a
    probe group."""

    kind: VersionEventKind
    subject: str = ""


class Deferral(msgspec.Struct, frozen=True):
    """A version answers with its origin's weights where it is not at home (`riverrun/deferral.py`).

    origin: the SHA-256 of their file. margin: nats by which the learned weights have to find a
    prompt likelier than the origin does, to answer it.
    """

    origin: str
    margin: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is.

    version: `RUN-STEP-HASH`: the run, the step, the head of `sha256`. A step number alone would
      name other weights after a crash.
    offsets: per raw partition, the next offset that these weights have not seen.
    learned: what was learned since `parent`, step by step.
    num_held_out: documents kept apart so far, which no weights were trained on.
    newest_ms: Kafka's time of the newest record learned, ms since 1970; None before the first.
    metrics: loss and health at `step`, by metric name, and what the gate measured.
    decision: `promote`, `hold` or `roll_back`; reason: by which rules, or on what evidence.
    replaces: the run whose line of versions this one took over when something of it was undone.
    left_out: what was undone, so far: within the spans of `learned` too.
    deferral: where the origin answers; None: all is answered by these weights.
    """

    version: str
    parent: str | None
    run: str
    step: int
    created_ms: int
    model: str
    config_hash: str
    sha256: str
    num_bytes: int
    offsets: dict[int, int]
    learned: list[Span]
    num_documents: int
    num_tokens: int
    newest_ms: int | None
    metrics: dict[str, float]
    decision: str = "promote"
    reason: str = ""
    num_held_out: int = 0
    consequences: list[Consequence] = []
    replaces: str | None = None
    left_out: list[LeftOut] = []
    deferral: Deferral | None = None


def version_id(run: str, step: int, sha256: str) -> str:
    """The identity of weights: `3f2a-000120-9c1d44e0`. Ids of one run sort by step."""
    return f"{run}-{step:06d}-{sha256[:8]}"
