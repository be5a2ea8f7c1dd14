"""What of a document is learned: a text, or a conversation's answers after their questions.

A text predicts all of itself. Of a conversation only what the assistant says is predicted, so that
bits a byte, the n-gram baseline and held-out sizes speak of those bytes alone.

Knows nothing of tokens. Called by `framing.py`, `lesson.py` and the watches.
"""

from riverrun.records import Document, Message

Messages = tuple[Message, ...]
Content = str | Messages


def content_of(document: Document) -> Content:
    return document.text if document.messages is None else document.messages


def told(content: Content) -> str:
    """What is to be predicted."""
    if isinstance(content, str):
        return content
    return "\n\n".join(content[i].content for i in answers(content))


def answers(messages: Messages) -> list[int]:
    """The assistant's turns that something came before: all are learned, not the last alone."""
    return [i for i, message in enumerate(messages) if i and message.role == "assistant"]


def num_bytes_of(text: str) -> int:
    return len(text.encode())


def shortened(messages: Messages, most_bytes: int) -> Messages:
    """The conversation, if it is no longer than that; else its last exchange, the end of what was
    asked and the beginning of what was answered."""
    if sum(num_bytes_of(message.content) for message in messages) <= most_bytes:
        return messages
    asked, answer = messages[-2], messages[-1]
    room = most_bytes - min(most_bytes // 2, num_bytes_of(asked.content))
    head = answer.content.encode()[:room].decode(errors="ignore")
    room = most_bytes - num_bytes_of(head)
    tail = asked.content.encode()[-room:].decode(errors="ignore")
    return Message(asked.role, tail), Message(answer.role, head)
