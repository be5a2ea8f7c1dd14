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

    async def encode(self, tokenizer: Tokenizer) -> list[int]:
        """Its tokens, ready for the answer.

        Raises:
            InvalidValue: the model has no chat template, or its template refuses the messages.
        """
        num_characters = sum(len(turn.content) for turn in self.turns)
        if num_characters < LONG_BYTES:
            return self._encode(tokenizer)
        return await asyncio.to_thread(self._encode, tokenizer)

    def _encode(self, tokenizer: Tokenizer) -> list[int]:
        if self.is_prompt:
            return tokenizer.encode(self.turns[0].content)
        if not tokenizer.has_chat_template:
            field = "messages" if self.field == "messages" else "input"
            raise InvalidValue(field, "messages", "a prompt: this model has no chat template")
        try:
            return tokenizer.chat([{"role": t.role, "content": t.content} for t in self.turns])
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
