"""What a request asks about, as tokens: a plain prompt, or messages by the chat template.

Called by `serving/requests/generate.py`, `feedback.py` and `serving/services/generation.py`.
"""

import asyncio
from collections.abc import Sequence

from riverrun.chat import ROLES
from riverrun.errors import InvalidValue
from riverrun.feedback import Turn
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import feedback_pb2
from riverrun.v1 import generation_pb2 as pb

MAX_MESSAGES = 1024
LONG_BYTES = 2048
"""From here on a text is encoded on another thread: a megabyte takes 0.5 s (2 kB: 0.7 ms), in
which the event loop would send nobody's tokens."""

PROMPT_ROLE = "prompt"
"""The role that feedback gives to a plain prompt."""


Request = pb.GenerateRequest | pb.ChatRequest | pb.CountTokensRequest | feedback_pb2.Subject


class Input:
    """A checked input, and its name in the request."""

    def __init__(self, field: str, turns: list[Turn]) -> None:
        self.field = field
        self.turns = turns

    @property
    def is_prompt(self) -> bool:
        return self.turns[0].role == PROMPT_ROLE

    async def encode(self, tokenizer: Tokenizer, context_tokens: int | None = None) -> list[int]:
        """Its tokens, ready for the answer.

        context_tokens: that they must leave room in; what cannot fit, by its bytes, is not encoded.

        Raises:
            InvalidValue: the model has no chat template, or its template refuses the messages; no
                tokens, or no room for one more.
        """
        num_characters = sum(len(turn.content) for turn in self.turns)
        if num_characters < LONG_BYTES:
            return self._encode(self._pieces(tokenizer), tokenizer, context_tokens)
        return await asyncio.to_thread(self._encode_long, tokenizer, context_tokens)

    def _encode_long(self, tokenizer: Tokenizer, context_tokens: int | None) -> list[int]:
        pieces = self._pieces(tokenizer)
        if context_tokens is not None:
            fewest = sum(
                1 if isinstance(piece, int) else tokenizer.fewest_tokens(piece) for piece in pieces
            )
            self._check_room(f"at least {fewest}", fewest, context_tokens)
        return self._encode(pieces, tokenizer, context_tokens)

    def _encode(
        self, pieces: list[str | int], tokenizer: Tokenizer, context_tokens: int | None
    ) -> list[int]:
        tokens = tokenizer.encode_pieces(pieces)
        if context_tokens is not None:
            if not tokens:
                raise InvalidValue(self.field, "no tokens", "an input of at least one token")
            self._check_room(f"{len(tokens)}", len(tokens), context_tokens)
        return tokens

    def _check_room(self, shown: str, num_tokens: int, context_tokens: int) -> None:
        if num_tokens >= context_tokens:
            raise InvalidValue(
                self.field,
                f"{shown} prompt tokens",
                f"at most {context_tokens - 1} prompt tokens (context_tokens is {context_tokens})",
            )

    def _pieces(self, tokenizer: Tokenizer) -> list[str | int]:
        if self.is_prompt:
            return [self.turns[0].content]
        if not tokenizer.has_chat_template:
            field = "messages" if self.field == "messages" else "input"
            raise InvalidValue(field, "messages", "a prompt: this model has no chat template")
        try:
            return tokenizer.chat_pieces(
                [{"role": turn.role, "content": turn.content} for turn in self.turns]
            )
        except InvalidValue as error:
            raise InvalidValue(self.field, error.value, error.allowed) from error


def input_of(request: Request, prefix: str = "") -> Input:
    """
    prefix: of the fields' names, where the input is part of another message.

    Raises:
        InvalidValue: no input, an empty one, too many messages, an unknown role.
    """
    if isinstance(request, pb.ChatRequest):
        return Input("messages", _turns(f"{prefix}messages", request.messages))
    kind = request.WhichOneof("input")
    if kind is None:
        raise InvalidValue(f"{prefix}input", None, "a prompt or a conversation")
    if kind == "prompt":
        if not request.prompt:
            raise InvalidValue(f"{prefix}prompt", "", "at least one character")
        return Input(f"{prefix}prompt", [Turn(role=PROMPT_ROLE, content=request.prompt)])
    field = f"{prefix}conversation.messages"
    return Input(field, _turns(field, request.conversation.messages))


def _turns(field: str, messages: Sequence[pb.Message]) -> list[Turn]:
    if not 1 <= len(messages) <= MAX_MESSAGES:
        allowed = f"at least one message, at most {MAX_MESSAGES}"
        raise InvalidValue(field, f"{len(messages)} messages", allowed)
    for i, message in enumerate(messages):
        if message.role not in ROLES:
            raise InvalidValue(f"{field}[{i}].role", message.role, ", ".join(ROLES))
    return [Turn(role=message.role, content=message.content) for message in messages]
