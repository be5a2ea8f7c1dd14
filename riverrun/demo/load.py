"""A steady load on the server: a user who never stops asking while the model learns."""

import threading
import time
from itertools import cycle

from riverrun.client import Client
from riverrun.errors import RiverrunError

PROMPTS = (
    "Write one sentence about the sea.",
    "Give me a name for a cat.",
    "What should I eat for breakfast?",
    "Tell me something about trains.",
    "How do I say thank you politely?",
    "Describe a rainy morning.",
)
MAX_TOKENS = 24
PAUSE_S = 1.0


class Load:
    """Counts what was served and what failed, from `start` to `stop`.

    One request at a time, a pause after each: about one row of the batch is always busy.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.requests = 0
        self.failed = 0
        self.tokens = 0
        self.versions: set[str] = set()
        self.last_error: str | None = None
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the request in hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Client(self.address) as client:
            for prompt in cycle(PROMPTS):
                self._one(client, prompt)
                if self._stop.wait(PAUSE_S):
                    return

    def _one(self, client: Client, prompt: str) -> None:
        self.requests += 1
        begun = time.monotonic()
        try:
            messages = [{"role": "user", "content": prompt}]
            answer = client.generate(messages=messages, max_tokens=MAX_TOKENS)
        except RiverrunError as error:
            self.failed += 1
            self.last_error = str(error)
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        self.tokens += answer.completion_tokens
        self.versions.add(answer.version.id)
