"""The options of an answer, as keyword arguments.

Called by both clients. Plain types: nothing of grpc.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from riverrun.answers import Answer
from riverrun.receipt import Receipt

Messages = Sequence[Mapping[str, str]]
After = Receipt | Mapping[int, int]
"""What must have been learned: a receipt of `produce`, or raw offsets by partition."""

Said = Answer | str
"""The answer that feedback is about, or its request id."""


class VersionOptions(TypedDict, total=False):
    """Which weights answer, as `VersionChoice` in `protos/riverrun/v1/generation.proto` has it; all
    may be left out.

    version: exactly this one. min_version, min_step, after: at least this; the call waits for it.
    never_defer: the version's own weights, whatever is asked.
    """

    version: str | None
    min_version: str | None
    min_step: int
    after: After | None
    never_defer: bool


class AnswerOptions(VersionOptions, total=False):
    """Ranges and meanings are in `protos/riverrun/v1/generation.proto`; all may be left out.

    messages: `{"role", "content"}`, instead of a prompt. logprobs: how many alternatives a token
    comes with. seed: the same one gives the same text; in float32 and bfloat16 rounding may decide
    between two tokens that are as good as equal. follow: the newest weights at each token.
    timeout_s: bounds the call, tries and waits included. request_id: yours instead of a random one.
    """

    messages: Messages | None
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float | None
    min_p: float
    repetition_penalty: float | None
    seed: int | None
    stop: Sequence[str]
    logprobs: int | None
    follow: bool
    timeout_s: float | None
    request_id: str | None


class OrderOptions(TypedDict, total=False):
    """What every command takes.

    reason: for the audit log. wait_s: how long to wait for the learner (10 by default, 0 not at
    all). command_id: yours instead of a random one; the same id acts once.
    """

    reason: str
    wait_s: float | None
    command_id: str | None
