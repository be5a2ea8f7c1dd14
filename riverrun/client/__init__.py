"""The client of a riverrun server, synchronous (`Client`) and asynchronous (`AsyncClient`).

    with Client("127.0.0.1:50051") as client:
        print(client.generate("The capital of France is").text)
        for piece in client.stream(messages=[{"role": "user", "content": "Hello"}]):
            print(piece, end="")

Every failure is a `RequestFailed` with gRPC's code. Knows nothing of data directories; whoever has
one looks the address up there. Called by users (`riverrun.Client`), the command line, the demo and
the benches. It imports grpc, which costs more than `--help` may take: our commands import it late.
"""

from riverrun.client.aio import AsyncClient
from riverrun.client.streams import AnswerStream, AsyncAnswerStream
from riverrun.client.sync import Client

__all__ = ["AnswerStream", "AsyncAnswerStream", "AsyncClient", "Client"]
