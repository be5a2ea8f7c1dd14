"""What the services share: whether we serve, with which engine, and how many answers are open.

Only the event loop touches it. Filled by `serving/main.py`; read by `serving/services/`.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Literal

from riverrun.errors import NotServing
from riverrun.settings import Settings
from riverrun.store import VersionStore, store_of
from riverrun.tokenizer import Tokenizer
from serving.commander import Commander
from serving.engine import Engine
from serving.feedback_log import FeedbackLog
from serving.kafka_writer import KafkaWriter
from serving.pinning import Pinning
from serving.replies import Replies
from serving.tally import Tally
from serving.version_catalog import VersionCatalog

Phase = Literal["loading", "serving", "draining"]


class State:
    """Loading until `serve`, serving until `drain`."""

    def __init__(self, settings: Settings, tally: Tally, started_ms: int) -> None:
        self.settings = settings
        self.model = settings.model
        self.tally = tally
        self.started_ms = started_ms
        self.phase: Phase = "loading"
        self.replies = Replies()
        self.store: VersionStore = store_of(settings)
        self.catalog = VersionCatalog(self.store)
        self._writer = KafkaWriter(settings)
        self.feedback_log = FeedbackLog(settings, self._writer)
        self.commander = Commander(settings, self._writer)
        self.engine: Engine | None = None
        self.tokenizer: Tokenizer | None = None
        self.pinning: Pinning | None = None
        self.closing = asyncio.Event()
        self._num_open = 0
        self._has_none_open = asyncio.Event()
        self._has_none_open.set()

    def serve(self, engine: Engine, tokenizer: Tokenizer, pinning: Pinning) -> None:
        """A version is live: requests are taken from now on."""
        self.engine, self.tokenizer, self.pinning = engine, tokenizer, pinning
        if self.phase == "loading":
            self.phase = "serving"

    async def drain(self, timeout_s: float) -> int:
        """Refuse new requests and wait for the open ones; how many did not end in time."""
        self.phase = "draining"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_none_open.wait(), timeout_s)
        self.closing.set()
        return self._num_open

    async def close(self) -> None:
        """Let go of Kafka, once no call is open."""
        self.commander.close()
        await self._writer.close()

    def require(self) -> tuple[Engine, Tokenizer]:
        """What answers a request.

        Raises:
            NotServing: not yet, or not any more.
        """
        if self.phase == "draining":
            raise NotServing("the server drains: it takes no new requests")
        if self.engine is None or self.tokenizer is None:
            raise NotServing("no version yet: the first one is still to be loaded")
        return self.engine, self.tokenizer

    @contextlib.contextmanager
    def open_answer(self) -> Iterator[None]:
        """Counts an answer that the drain waits for."""
        self._num_open += 1
        self._has_none_open.clear()
        try:
            yield
        finally:
            self._num_open -= 1
            if self._num_open == 0:
                self._has_none_open.set()
