"""Asks many questions over gRPC and marks the answers.

Several at a time, so that the server's batching is used; each answer is greedy, so the order does
not matter.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from riverrun.client import Client
from riverrun.demo.questions import MAX_ANSWER_TOKENS, Question

NUM_AT_ONCE = 4


class Reply(msgspec.Struct, frozen=True):
    """What the model said to a question, and which version said it."""

    question: Question
    text: str
    version: str

    @property
    def is_right(self) -> bool:
        return self.question.is_answered_by(self.text)


def ask(
    client: Client, questions: Sequence[Question], on_reply: Callable[[Reply], None]
) -> list[Reply]:
    """Replies in the order of the questions; `on_reply` sees each as it comes.

    A request that fails raises: the demo has no use for half an examination.
    """

    def one(question: Question) -> Reply:
        answer = client.generate(
            messages=[{"role": "user", "content": question.question}], max_tokens=MAX_ANSWER_TOKENS
        )
        reply = Reply(question, answer.text.strip(), answer.version.id)
        on_reply(reply)
        return reply

    with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
        return list(pool.map(one, questions))


def num_right(replies: Sequence[Reply]) -> int:
    return sum(reply.is_right for reply in replies)
