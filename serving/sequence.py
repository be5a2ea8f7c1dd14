"""One request on its way through the engine: its tokens, its row, its weights, its end.

Only the engine's thread touches a sequence after it was submitted, but for `cancelled`, which
anybody may set. Knows nothing of tensors or of gRPC. Made by `serving/request.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from riverrun.errors import RiverrunError
from riverrun.store import Manifest
from serving.answer_text import AnswerText
from serving.sampling import Sampling
from serving.slots import Slot


class FinishReason(Enum):
    END = "end"
    LENGTH = "length"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended, and the weights that gave all of it."""

    reason: FinishReason
    num_prompt_tokens: int
    num_tokens: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new in an answer. The last one has an `end`, or the `error` instead of one."""

    text: str = ""
    num_tokens: int = 0
    end: End | None = None
    error: RiverrunError | None = None


Sink = Callable[[Delta], None]
"""Takes an answer's deltas, in order, on the event loop's thread."""


@dataclass(eq=False, slots=True)
class Sequence:
    """`tokens` begins with the prompt; the first `num_cached` of them have keys in the cache."""

    tokens: list[int]
    max_tokens: int
    sampling: Sampling
    text: AnswerText
    sink: Sink
    random: Random = field(init=False)
    num_prompt_tokens: int = field(init=False)
    num_cached: int = 0
    row: int | None = None
    slot: Slot | None = None
    cancelled: bool = False
    submitted_at: float = field(default_factory=time.perf_counter)
    token_at: float | None = None
    sent_at: float = 0.0

    def __post_init__(self) -> None:
        self.num_prompt_tokens = len(self.tokens)
        self.random = self.sampling.random_numbers()

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - self.num_prompt_tokens

    @property
    def num_uncached(self) -> int:
        """Tokens that the model has still to see before it can give the next one."""
        return len(self.tokens) - self.num_cached

    def end(self, reason: FinishReason) -> End:
        assert self.slot is not None
        assert self.slot.manifest is not None, "a pinned slot has a version"
        return End(reason, self.num_prompt_tokens, self.num_generated, self.slot.manifest)
