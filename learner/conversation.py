"""A conversation as examples: each answer of the assistant, after what it answers.

Every answer is an example of its own, asked as serving asks: the messages before it, rendered by
the model's chat template with the assistant's opening. Its targets are the answer's tokens and the
token that ends the turn, and nothing else: not the roles, the system's text or the questions. A
model without a template, and a conversation that the template refuses, get the plain form:

    (system's text)

    Question: (user's text)
    Answer: (assistant's text)(end of text)

Knows nothing of batches or passes. Called by `framing.py`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from learner.content import Messages, answers
from riverrun.errors import InvalidValue
from riverrun.records import Message, Role
from riverrun.tokenizer import Tokenizer

if TYPE_CHECKING:
    from learner.framing import Example

CHARACTERS_A_TOKEN = 8
"""More than a token of text has: what lies further back than a block of them is not rendered."""

PLAIN: dict[Role, str] = {
    "system": "{}\n\n",
    "user": "Question: {}\n",
    "assistant": "Answer: {}\n",
    "tool": "Result: {}\n",
}

Tell = Callable[[Sequence[int], Sequence[int]], "Example"]
"""Question and answer, both as ids of the whole conversation, to an example."""


def told_answers(
    messages: Messages,
    tokenizer: Tokenizer,
    tell: Tell,
    end_id: int,
    turn_end_id: int,
    block_tokens: int,
) -> "list[Example]":
    """One example an answer, uncut. end_id: of text; turn_end_id: of the assistant's turn."""
    examples = []
    for i in answers(messages):
        before = context(messages, i, block_tokens * CHARACTERS_A_TOKEN)
        answer = messages[i].content
        asked = _asked(tokenizer, before)
        if asked is not None:
            examples.append(tell(asked, [*tokenizer.encode(answer), turn_end_id]))
        else:
            shown = "".join(PLAIN[one.role].format(one.content) for one in before) + "Answer:"
            question = [end_id, *tokenizer.encode(shown)]
            examples.append(tell(question, [*tokenizer.encode(f" {answer}"), end_id]))
    return examples


def context(messages: Messages, index: int, most_characters: int) -> Messages:
    """What stands before message `index`: all of it, or of a long conversation the system's text
    and the newest turns, from a user's on, that have so many characters."""
    lead = 0
    while lead < index and messages[lead].role == "system":
        lead += 1
    num_characters = 0
    for start in range(index - 1, lead, -1):
        num_characters += len(messages[start].content)
        if num_characters >= most_characters and messages[start].role == "user":
            return (*messages[:lead], *messages[start:index])
    return messages[:index]


def _asked(tokenizer: Tokenizer, before: Sequence[Message]) -> list[int] | None:
    if not tokenizer.has_chat_template:
        return None
    try:
        return tokenizer.chat([{"role": m.role, "content": m.content} for m in before])
    except InvalidValue:
        # Some templates know no system's text, or want user and assistant to take turns.
        return None
