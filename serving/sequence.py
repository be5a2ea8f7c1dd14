"""One request on its way through the engine: its tokens, its row, its weights, its end.

A sequence has a task. `generate` runs the prompt and then makes tokens. `score` and `embed` run
their tokens once, through the same queue, rows and passes, and make none: their last delta carries
the `scores` or the `embedding`.

Only the engine's thread touches a sequence after it was submitted, but for `cancelled`, which
anybody may set. Knows nothing of tensors or of gRPC. Made by `serving/requests/`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Literal

from riverrun.errors import RiverrunError
from riverrun.store import Manifest
from serving.answer_text import AnswerText
from serving.sampling import GREEDY, Sampling
from serving.slots import Pin, Slot

Task = Literal["generate", "score", "embed"]

MAX_LOGPROBS = 20
"""Alternatives a token may come with; the API's limit."""


class FinishReason(Enum):
    END = "end"
    """The model ended the answer; also the end of a score or an embedding."""
    LENGTH = "length"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Switch:
    """An answer that follows the newest version goes on with this one.

    num_tokens: of the answer before it.
    """

    manifest: Manifest
    num_tokens: int


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended, and the weights that gave all of it.

    manifest: of one that follows, its last version. switches: of one that follows, all its
    versions in order, the first one at 0 tokens. is_deferred: the version's origin gave it.
    """

    reason: FinishReason
    num_prompt_tokens: int
    num_tokens: int
    manifest: Manifest
    switches: tuple[Switch, ...] = ()
    is_deferred: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely a generated token was, in nats, and the likeliest tokens of its place.

    Of the model's own distribution: before temperature, penalty and truncation, so that a greedy
    and a sampled answer report the same numbers. `top` holds (token, logprob) pairs, likeliest
    first, as many as the sequence asked for; the chosen token need not be among them.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How likely a given token was after all that stand before it, in nats."""

    token: int
    logprob: float
    is_likeliest: bool
    """Whether it is what greedy decoding would have chosen."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new in an answer. The last one has an `end`, or the `error` instead of one.

    switched: all of this delta, and what follows, is from these weights.
    """

    text: str = ""
    num_tokens: int = 0
    end: End | None = None
    error: RiverrunError | None = None
    switched: Switch | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each of the `num_tokens`, in order, if the sequence asked for them. Their text may
    come later, or never: a token can end inside a character or a stop string."""
    scores: tuple[TokenScore, ...] | None = None
    """Of a `score`, with its end: one for each token from `first_target` on."""
    embedding: tuple[float, ...] | None = None
    """Of an `embed`, with its end: the mean over all tokens of the last layer's normed hidden
    states, scaled to length 1 (L2)."""


Sink = Callable[[Delta], None]
"""Takes an answer's deltas, in order, on the event loop's thread."""


@dataclass(eq=False, slots=True)
class Sequence:
    """`tokens` begins with the prompt; the first `num_cached` of them have keys in the cache."""

    tokens: list[int]
    sink: Sink
    max_tokens: int = 0
    """Tokens to generate at most; 0 for the tasks that generate none."""
    sampling: Sampling = GREEDY
    text: AnswerText | None = None
    """Of a `generate`, always; the other tasks have no text."""
    task: Task = "generate"
    first_target: int = 1
    """Of a `score`: the first token whose likelihood is wanted, by its place in `tokens`; at least
    1, for nothing stands before token 0."""
    num_logprobs: int | None = None
    """Of a `generate`: None for no logprobs; 0 for the chosen token's alone; n for the n likeliest
    too."""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of tokens whose delta is not due yet."""
    scores: list[TokenScore] = field(default_factory=list)
    pooled: Any = None
    """The runner's: the sum of an `embed`'s hidden states so far."""
    random: Random = field(init=False)
    num_prompt_tokens: int = field(init=False)
    num_cached: int = 0
    num_reused: int = 0
    """Of them, the first ones whose keys another sequence had made."""
    row: int | None = None
    pin: Pin | None = None
    """The weights that run it: given with it, by one who asked for a version, or at admission."""
    follows: bool = False
    """Whether a `generate` goes on with the newest version at each swap."""
    switches: list[Switch] = field(default_factory=list)
    """Of one that follows."""
    is_weighing: bool = False
    """A `score` that only finds out which weights are to answer a request (`serving/deferral.py`):
    it is no request of its own."""
    client: str = ""
    """Who asks: rows are shared fairly between clients."""
    cancelled: bool = False
    arrived_at: float = field(default_factory=time.perf_counter)
    """When its request came; it may have waited for a version since."""
    submitted_at: float = 0.0
    """When it began to wait for a row; the engine's."""
    first_version: str | None = None
    """What it was pinned to when it got its row; any thread may read it."""
    token_at: float | None = None
    sent_at: float = 0.0

    def __post_init__(self) -> None:
        assert (self.task == "generate") == (self.text is not None), "text is a generate's"
        assert self.task != "score" or 1 <= self.first_target < len(self.tokens)
        assert self.tokens
        self.num_prompt_tokens = len(self.tokens)
        self.random = self.sampling.random_numbers()

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - self.num_prompt_tokens

    @property
    def num_uncached(self) -> int:
        """Tokens that the model has still to see before it can give the next one: of a `score` all
        but the last, after which nothing is asked."""
        return len(self.tokens) - (self.task == "score") - self.num_cached

    @property
    def num_reusable(self) -> int:
        """First tokens of which only the keys are needed, and not what the model makes of them."""
        if self.task == "generate":
            return len(self.tokens) - 1
        return self.first_target - 1 if self.task == "score" else 0

    @property
    def num_reserved(self) -> int:
        """Tokens that it may come to: what admission counts."""
        return self.num_prompt_tokens + self.max_tokens

    @property
    def slot(self) -> Slot:
        assert self.pin is not None, "a running sequence has weights"
        return self.pin.slot

    @property
    def manifest(self) -> Manifest:
        assert self.pin is not None, "a running sequence has weights"
        return self.pin.manifest

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def is_deferred(self) -> bool:
        """Whether the origin answers for the version; not before it is pinned."""
        return self.pin is not None and self.pin.is_deferred

    def release(self) -> None:
        """Let go of its weights."""
        if self.pin is not None:
            self.pin.release()

    def end(self, reason: FinishReason) -> End:
        return End(
            reason,
            self.num_prompt_tokens,
            self.num_generated,
            self.manifest,
            tuple(self.switches),
            self.is_deferred,
        )
