"""Throughput and latency of serving, at more and more load.

Closed loop: 1 to many clients. Open loop: requests at shares of the most that the closed loop
got, also above it. Not compared with anybody: `decode` is. With ghz on the path, it drives the
unary call too, so that one figure does not come from our own client.
"""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

import msgspec

from bench.streams import Ask, Seen, Streams, percentile
from riverrun.client import AsyncClient
from riverrun.errors import RiverrunError

PROTO = "riverrun.v1.Generation/Complete"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one load. Latencies in seconds, as a client sees them; of refusals None without any."""

    requests_per_s: float
    tokens_per_s: float
    first_p50_s: float
    first_p99_s: float
    between_p50_s: float
    between_p99_s: float
    total_p50_s: float
    total_p99_s: float
    refused: int
    refused_p50_s: float | None
    refused_p99_s: float | None
    failed: int


class Ghz(msgspec.Struct, frozen=True, kw_only=True):
    requests_per_s: float
    p50_s: float
    p99_s: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """closed: by clients. open: by share of the capacity, the closed loop's highest rate."""

    model: str
    max_tokens: int
    seconds: float
    capacity_requests_per_s: float
    closed: dict[str, Figures]
    open: dict[str, Figures]
    ghz: Ghz | None


def run(
    address: str,
    clients: Sequence[int],
    shares: Sequence[float],
    *,
    seconds: float,
    max_tokens: int,
    tell: Callable[[str, Figures], None],
) -> Load:
    """On the server at `address`."""
    ask = Ask(max_tokens=max_tokens)
    model, closed, rated = asyncio.run(_measure(address, clients, shares, seconds, ask, tell))
    return Load(
        model=model,
        max_tokens=max_tokens,
        seconds=seconds,
        capacity_requests_per_s=max(one.requests_per_s for one in closed.values()),
        closed=closed,
        open=rated,
        ghz=run_ghz(address, seconds, max_tokens),
    )


async def _measure(
    address: str,
    clients: Sequence[int],
    shares: Sequence[float],
    seconds: float,
    ask: Ask,
    tell: Callable[[str, Figures], None],
) -> tuple[str, dict[str, Figures], dict[str, Figures]]:
    closed: dict[str, Figures] = {}
    rated: dict[str, Figures] = {}
    async with AsyncClient(address, timeout_s=120, retries=0) as client:
        model = (await client.status()).model
        for count in clients:
            streams = Streams(client, ask)
            streams.start(count)
            await asyncio.sleep(min(1.0, seconds / 4))
            streams.seen = seen = Seen()
            await asyncio.sleep(seconds)
            streams.seen = Seen()
            await streams.stop()
            closed[str(count)] = figures_of(seen, seconds)
            tell(f"{count} clients", closed[str(count)])
        capacity = max(one.requests_per_s for one in closed.values())
        for share in shares:
            streams = Streams(client, ask)
            began = time.perf_counter()
            await streams.at_rate(share * capacity, seconds)
            await streams.stop()
            rated[f"{share:g}"] = figures_of(streams.seen, time.perf_counter() - began)
            tell(f"{share:g} of capacity", rated[f"{share:g}"])
    return model, closed, rated


def figures_of(seen: Seen, seconds: float) -> Figures:
    """Of a load that lasted so long."""

    def of_refusals(share: float) -> float | None:
        return round(percentile(seen.refusals_s, share), 5) if seen.refusals_s else None

    return Figures(
        requests_per_s=round(len(seen.total_s) / seconds, 2),
        tokens_per_s=round(seen.num_tokens / seconds, 1),
        first_p50_s=round(percentile(seen.first_s, 0.5), 5),
        first_p99_s=round(percentile(seen.first_s, 0.99), 5),
        between_p50_s=round(percentile(seen.gaps_s, 0.5), 5),
        between_p99_s=round(percentile(seen.gaps_s, 0.99), 5),
        total_p50_s=round(percentile(seen.total_s, 0.5), 5),
        total_p99_s=round(percentile(seen.total_s, 0.99), 5),
        refused=seen.refused,
        refused_p50_s=of_refusals(0.5),
        refused_p99_s=of_refusals(0.99),
        failed=sum(seen.failed.values()),
    )


def run_ghz(address: str, seconds: float, max_tokens: int) -> Ghz | None:
    """Eight of its clients, unary. None where it is not installed.

    Raises RiverrunError with what it said when it could not call, or when a call failed.
    """
    program = shutil.which("ghz")
    if program is None:
        return None
    asked = json.dumps({"prompt": "river", "max_tokens": max_tokens})
    command = [program, "--insecure", "--call", PROTO, "-d", asked, "-c", "8"]
    command += ["-z", f"{seconds:g}s", "--duration-stop", "wait", "-O", "json", address]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    if found.returncode != 0:
        raise RiverrunError(f"ghz: {(found.stderr or found.stdout).strip()}")
    report = json.loads(found.stdout)
    failed = {code: n for code, n in report["statusCodeDistribution"].items() if code != "OK"}
    if failed:
        raise RiverrunError(f"ghz: calls failed: {failed}")
    by_share = {one["percentage"]: one["latency"] / 1e9 for one in report["latencyDistribution"]}
    return Ghz(
        requests_per_s=round(report["rps"], 2),
        p50_s=round(by_share[50], 5),
        p99_s=round(by_share[99], 5),
    )
