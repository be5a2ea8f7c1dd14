"""The client of a riverrun server, synchronous (`Client`) and asynchronous (`AsyncClient`).

    with Client("127.0.0.1:50051") as client:
        print(client.generate("The capital of France is").text)
        for piece in client.stream(messages=[{"role": "user", "content": "Hello"}]):
            print(piece, end="")

Every failure is a `RequestFailed` with gRPC's code. Knows nothing of data directories; whoever has
one looks the address up there. Called by the command line, the demo and the benches. grpc is
imported when a client is made, for it costs more than `--help` may take.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from riverrun.answers import Answer, Status
from riverrun.errors import InvalidValue

Messages = Sequence[Mapping[str, str]]


class _Answering:
    """A call whose answer comes in pieces."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._pieces: list[str] = []
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The whole answer, once the iteration has come to its end."""
        if self._answer is None:
            raise InvalidValue("answer", None, "a stream that was read to its end")
        return self._answer

    def cancel(self) -> None:
        """Tell the server that nobody reads on (leaving the iteration does, too)."""
        self._call.cancel()


class AnswerStream(_Answering):
    """An answer as it comes: iterate over its text; `answer` is there afterwards."""

    def __iter__(self) -> Iterator[str]:
        from riverrun import client_protos as protos

        try:
            with protos.failures():
                for response in self._call:
                    if response.HasField("final"):
                        self._answer = protos.answer(response.final, "".join(self._pieces))
                    elif response.chunk.text:
                        self._pieces.append(response.chunk.text)
                        yield response.chunk.text
        finally:
            self._call.cancel()


class AsyncAnswerStream(_Answering):
    """As `AnswerStream`, for `async for`."""

    async def __aiter__(self) -> AsyncIterator[str]:
        from riverrun import client_protos as protos

        try:
            with protos.failures():
                async for response in self._call:
                    if response.HasField("final"):
                        self._answer = protos.answer(response.final, "".join(self._pieces))
                    elif response.chunk.text:
                        self._pieces.append(response.chunk.text)
                        yield response.chunk.text
        finally:
            self._call.cancel()


class Client:
    """One connection to the server at `address` (`host:port`); safe to share between threads.

    `timeout_s` bounds every call that brings no bound of its own; None is no bound.
    """

    def __init__(self, address: str, *, timeout_s: float | None = None) -> None:
        import grpc

        from riverrun import client_protos as protos

        self.address = address
        self.timeout_s = timeout_s
        self._channel = grpc.insecure_channel(address, protos.OPTIONS)
        self._generation, self._model = protos.stubs(self._channel)

    def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        max_tokens: int = 0,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> AnswerStream:
        """The answer as it comes. Either `prompt` or `messages`; greedy unless told otherwise.

        Raises:
            InvalidValue: a value that no request can carry.
            RequestFailed: (while iterating) what the server says.
        """
        from riverrun import client_protos as protos

        request = protos.generate_request(
            prompt, messages, max_tokens, temperature, top_k, top_p, seed, stop
        )
        return AnswerStream(self._generation.Generate(request, timeout=timeout_s or self.timeout_s))

    def generate(self, prompt: str | None = None, **options: Any) -> Answer:
        stream = self.stream(prompt, **options)
        for _ in stream:
            continue
        return stream.answer

    def status(self) -> Status:
        from riverrun import client_protos as protos

        with protos.failures():
            request = protos.status_request()
            response = self._model.GetStatus(request, timeout=self.timeout_s)
        return protos.status(response.status)

    def watch(self, interval_s: float = 0.5) -> Iterator[Status]:
        """The status now and whenever it changes, until the server ends or nobody iterates."""
        from riverrun import client_protos as protos

        call = self._model.WatchStatus(protos.watch_request(interval_s))
        try:
            with protos.failures():
                for response in call:
                    yield protos.status(response.status)
        finally:
            call.cancel()

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient:
    """As `Client`, on one event loop."""

    def __init__(self, address: str, *, timeout_s: float | None = None) -> None:
        import grpc.aio

        from riverrun import client_protos as protos

        self.address = address
        self.timeout_s = timeout_s
        self._channel = grpc.aio.insecure_channel(address, protos.OPTIONS)
        self._generation, self._model = protos.stubs(self._channel)

    def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        max_tokens: int = 0,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> AsyncAnswerStream:
        """As `Client.stream`."""
        from riverrun import client_protos as protos

        request = protos.generate_request(
            prompt, messages, max_tokens, temperature, top_k, top_p, seed, stop
        )
        timeout = timeout_s or self.timeout_s
        return AsyncAnswerStream(self._generation.Generate(request, timeout=timeout))

    async def generate(self, prompt: str | None = None, **options: Any) -> Answer:
        """The whole answer; options as for `stream`."""
        stream = self.stream(prompt, **options)
        async for _ in stream:
            continue
        return stream.answer

    async def status(self) -> Status:
        """The server now."""
        from riverrun import client_protos as protos

        with protos.failures():
            request = protos.status_request()
            response = await self._model.GetStatus(request, timeout=self.timeout_s)
        return protos.status(response.status)

    async def watch(self, interval_s: float = 0.5) -> AsyncIterator[Status]:
        """As `Client.watch`."""
        from riverrun import client_protos as protos

        call = self._model.WatchStatus(protos.watch_request(interval_s))
        try:
            with protos.failures():
                async for response in call:
                    yield protos.status(response.status)
        finally:
            call.cancel()

    async def close(self) -> None:
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
