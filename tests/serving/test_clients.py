"""Clients that do not read, that go, and that are many: the server is as it was."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import grpc
import pytest

from riverrun.client import AsyncClient, Client
from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, wait_for

NUM_CANCELLED = int(os.environ.get("TEST_CANCELLED_STREAMS", "300"))
"""The full number, ten thousand, takes minutes."""

SMALL_WINDOW = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]


@pytest.mark.parametrize(
    "max_unread_tokens",
    [
        # Its mailbox overflows: the row is free at once.
        1000,
        # Its mailbox is wide: the answer runs to its end, and is given up in time all the same.
        100_000,
    ],
)
def test_a_client_that_does_not_read_holds_no_row_and_is_ended(
    published: Published, max_unread_tokens: int
) -> None:
    version = published.publish(1)
    prompts = (f"unread {i}" for i in range(99))
    prompt = next(one for one in prompts if len(published.greedy_ids(version, one, 200)) == 200)
    options = {"max_unread_tokens": max_unread_tokens, "send_timeout_s": 0.5}
    with running_server(published.root, max_rows=1, **options) as server:
        server.wait_ready()
        with (
            grpc.insecure_channel(server.address, options=SMALL_WINDOW) as channel,
            Client(server.address, timeout_s=60, retries=0) as client,
        ):
            request = pb.GenerateRequest(prompt=prompt, max_tokens=200, logprobs=20)
            unread = rpc.GenerationStub(channel).Generate(request)
            # Another is served while nobody reads.
            answer = client.generate("beside", max_tokens=20)
            assert answer.text == published.greedy(version, "beside", 20)
            ended = "riverrun_serving_ended_early_total"
            wait_for(lambda: server.metric(ended, {"reason": "slow_reader"}), "the answer's end")
            load = client.status().load
            assert (load.rows, load.waiting) == (0, 0)
            # Who reads after all gets what was sent before, and is told that this is not the end.
            with pytest.raises(grpc.RpcError) as failed:
                list(unread)
            assert failed.value.code() is grpc.StatusCode.ABORTED
            assert "serving." in failed.value.details()


async def test_a_hundred_clients_stream_at_once(
    published: Published, server: RunningServer
) -> None:
    version = published.store.promoted()
    assert version is not None
    prompts = [f"stream {i % 10}" for i in range(100)]
    right = {prompt: published.greedy(version, prompt, 24) for prompt in set(prompts)}
    begun = set[int]()

    async def ask(i: int) -> str:
        async with AsyncClient(server.address, timeout_s=60, retries=0) as client:
            stream = client.stream(prompts[i], max_tokens=24)
            text = ""
            async for piece in stream:
                text += piece
                begun.add(i)
            return text

    texts = await asyncio.wait_for(asyncio.gather(*map(ask, range(100))), 60)
    assert texts == [right[prompt] for prompt in prompts]
    assert len(begun) == 100


def resources() -> tuple[int, int, float]:
    """Threads, descriptors and resident memory (MB) of this process, which serves too."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    resident_kb = int(status.split("VmRSS:")[1].split()[0])
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), resident_kb / 1000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
async def test_cancelled_streams_leave_rows_threads_memory_and_descriptors_as_they_were(
    server: RunningServer,
) -> None:
    async with AsyncClient(server.address, timeout_s=60, retries=0) as client:

        async def cancel(i: int) -> None:
            stream = client.stream(f"s{i}", max_tokens=200)
            if i % 2:
                async for _ in stream:
                    break
            stream.cancel()

        async def cancel_many(count: int) -> None:
            for first in range(0, count, 50):
                await asyncio.gather(*(cancel(i) for i in range(first, min(count, first + 50))))
            async for status in client.watch(0.01):
                if status.load.rows + status.load.waiting == 0:
                    break

        # What is taken once, by the first of them, is not a leak.
        await cancel_many(200)
        before = resources()
        await cancel_many(NUM_CANCELLED)
        after = resources()
        assert all(now <= then * 1.05 for now, then in zip(after, before, strict=True)), (
            before,
            after,
        )
        assert (await client.generate("after", max_tokens=3)).completion_tokens <= 3
