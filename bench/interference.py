"""Training beside serving: what each costs the other, on one machine.

A whole system with text enough to learn without a pause. Three kinds of windows take turns: serving
at half of its capacity while the learner trains; the same while the learner is stopped (SIGSTOP: a
pause that costs nothing); training alone. Each is compared with the other kinds of its own round,
and the medians of the rounds are told. Capacity is what clients in a closed loop get while the
learner is stopped. Answers come as the settings say: `--set serving.chunk_interval_s=0` makes each
token a message, and costs serving and client more of the processor.
"""

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.clean_records import prose
from bench.streams import Ask, Seen, Streams, percentile
from learner.recipe import kind_of
from riverrun.client import AsyncClient
from riverrun.errors import RiverrunError
from riverrun.produce import RawProducer, Record
from riverrun.scrape import scrape
from riverrun.settings import Settings
from riverrun.status import Observer
from riverrun.supervisor import System
from riverrun.workspace import Workspace

READY_S = 600.0
CAPACITY_CLIENTS = 8
POLL_S = 0.1
EDGE_SHARE = 1 / 3
"""Of a window, at its begin and at its end, in which the learner is asked whether a step has ended;
it is not asked in between, since asking takes processor time. A step of SmolLM2 takes seconds."""

LEAST_SETTLING_S = 10.0
"""What a learner of SmolLM2 writes after a pause takes some seven seconds."""
LONGER = "measure for longer (--seconds), or send more --records"


class Interference(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies with training by those without, medians of `rounds`. p50_ratio, p99_ratio: of the
    time between two messages of an answer, which are `chunk_interval_s` apart at least; first:
    until the first one; total: until the last one. train_kept: tokens learned a second while
    serving, by those without.
    """

    model: str
    rounds: int
    window_s: float
    requests_per_s: float
    chunk_interval_s: float
    p50_ratio: float
    p99_ratio: float
    first_p99_ratio: float
    total_p50_ratio: float
    total_p99_ratio: float
    train_kept: float
    p99_training_s: float
    p99_idle_s: float
    train_alone_tokens_per_s: float
    failed: int


class Windows(msgspec.Struct, frozen=True):
    """What is measured: how many times, for how long each, and with how many records of 600 bytes
    for the learner, which shall not run out of them in two windows a round."""

    rounds: int
    seconds: float
    records: int


def usual_windows(model: str) -> Windows:
    """Steps of a pretrained model take seconds: fewer windows, so long that some end in each."""
    if kind_of(model) == "scratch":
        return Windows(rounds=9, seconds=12.0, records=30_000)
    return Windows(rounds=4, seconds=40.0, records=4_000)


class _Learner:
    """The learner of a system, to be stopped and measured."""

    def __init__(self, workspace: Workspace) -> None:
        record = workspace.wait_ready("learner", 10)
        assert record.metrics_port is not None, "a ready process has metrics"
        self._pid, self._port = record.pid, record.metrics_port

    def stop(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def tokens(self) -> float:
        """Learned so far; counted when a step ends."""
        samples = scrape(self._port)
        if samples is None:
            raise RiverrunError("the learner does not answer")
        return samples.total("riverrun_learner_tokens_total") or 0.0

    def await_learning(self) -> None:
        """Return once it is at the text that waits."""
        before, deadline = self.tokens(), time.monotonic() + READY_S
        while self.tokens() == before:
            if time.monotonic() > deadline:
                raise RiverrunError(f"the learner learned nothing within {READY_S:g} s")
            time.sleep(0.1)

    async def settle(self, window_s: float) -> None:
        """After a pause: let the version and the checkpoint that it made overdue be judged and
        written, until it is at its steps again."""
        began = time.perf_counter()
        ends = await self._ends_of_steps(began + max(window_s / 4, LEAST_SETTLING_S))
        while not ends:
            if time.perf_counter() > began + READY_S:
                raise RiverrunError(f"the learner, let go on, ended no step in {READY_S:g} s")
            ends = await self._ends_of_steps(time.perf_counter() + POLL_S)

    async def rate(self, seconds: float) -> float:
        """Tokens learned a second, from the first step's end in the window to the last one's."""
        began = time.perf_counter()
        edge_s = EDGE_SHARE * seconds
        ends = await self._ends_of_steps(began + edge_s)
        await asyncio.sleep(max(0.0, began + seconds - edge_s - time.perf_counter()))
        later = await self._ends_of_steps(began + seconds)
        if not ends or not later:
            raise RiverrunError(f"no step ended within a window's first or last third: {LONGER}")
        (first_at, first), (last_at, last) = ends[0], later[-1]
        return (last - first) / (last_at - first_at)

    async def _ends_of_steps(self, deadline: float) -> list[tuple[float, float]]:
        """When steps ended until then, and the tokens learned by each."""
        ends = []
        before = await asyncio.to_thread(self.tokens)
        while time.perf_counter() < deadline:
            await asyncio.sleep(POLL_S)
            tokens = await asyncio.to_thread(self.tokens)
            if tokens != before:
                ends.append((time.perf_counter(), tokens))
                before = tokens
        return ends


def run(
    settings: Settings,
    windows: Windows,
    tell: Callable[[str], None],
) -> Interference:
    """On a fresh system of `settings`, in a temporary data directory."""
    with tempfile.TemporaryDirectory(prefix="riverrun-bench-") as scratch:
        settings = settings.model_copy(update={"data_dir": Path(scratch) / "data"})
        with System(settings) as system:
            system.wait_ready(READY_S)
            address = Workspace(settings.data_dir).wait_ready("serving", 10).address
            assert address is not None, "a ready server has an address"
            with Observer(settings) as observer:
                learner = _Learner(Workspace(settings.data_dir))
                _fill(settings, observer, windows.records, tell)
                learner.await_learning()
                learner.stop()
                try:
                    return asyncio.run(_measure(settings, address, learner, windows, tell))
                finally:
                    learner.go_on()


def _fill(
    settings: Settings, observer: Observer, num_records: int, tell: Callable[[str], None]
) -> None:
    """Records enough, cleaned: the stream shall rest while we measure."""
    with RawProducer(settings) as producer:
        for text in prose(num_records):
            producer.send(Record(text, source="bench"))
    deadline = time.monotonic() + READY_S
    while True:
        stream = observer.look().stream
        if stream is not None and stream.records >= num_records:
            tell(f"{num_records} records wait for the learner")
            return
        if time.monotonic() > deadline:
            raise RiverrunError(f"the records were not cleaned within {READY_S:g} s")
        time.sleep(0.2)


async def _measure(
    settings: Settings,
    address: str,
    learner: _Learner,
    windows: Windows,
    tell: Callable[[str], None],
) -> Interference:
    window_s = windows.seconds
    training: list[Seen] = []
    idle: list[Seen] = []
    kept: list[float] = []
    alone: list[float] = []
    async with AsyncClient(address, timeout_s=120, retries=0) as client:
        rate = await _capacity(client, window_s) / 2
        tell(f"half of capacity: {rate:.2f} requests a second")

        async def serve() -> Seen:
            streams = Streams(client, Ask())
            await streams.at_rate(rate, window_s)
            await streams.stop()
            return streams.seen

        async def rate_beside() -> float:
            seen, rate = await asyncio.gather(serve(), learner.rate(window_s))
            training.append(seen)
            return rate

        for number in range(windows.rounds):
            # In turn, so that no kind is always the first.
            if number % 2 == 0:
                idle.append(await serve())
            learner.go_on()
            await learner.settle(window_s)
            if number // 2 % 2 == 0:
                beside = await rate_beside()
                alone.append(await learner.rate(window_s))
            else:
                alone.append(await learner.rate(window_s))
                beside = await rate_beside()
            learner.stop()
            kept.append(beside / alone[-1])
            if number % 2:
                idle.append(await serve())
            tell(
                f"round {number + 1}: p99 {percentile(training[-1].gaps_s, 0.99) * 1e3:.2f} / "
                f"{percentile(idle[-1].gaps_s, 0.99) * 1e3:.2f} ms, of an answer "
                f"{percentile(training[-1].total_s, 0.99) * 1e3:.0f} / "
                f"{percentile(idle[-1].total_s, 0.99) * 1e3:.0f} ms, training kept {kept[-1]:.2f}"
            )
    seen_all = [*training, *idle]
    return Interference(
        model=settings.model,
        rounds=windows.rounds,
        window_s=window_s,
        requests_per_s=round(rate, 3),
        chunk_interval_s=settings.serving.chunk_interval_s,
        p50_ratio=_ratio(training, idle, gaps, 0.5),
        p99_ratio=_ratio(training, idle, gaps, 0.99),
        first_p99_ratio=_ratio(training, idle, lambda seen: seen.first_s, 0.99),
        total_p50_ratio=_ratio(training, idle, lambda seen: seen.total_s, 0.5),
        total_p99_ratio=_ratio(training, idle, lambda seen: seen.total_s, 0.99),
        train_kept=round(statistics.median(kept), 3),
        p99_training_s=round(_median(training, 0.99), 5),
        p99_idle_s=round(_median(idle, 0.99), 5),
        train_alone_tokens_per_s=round(statistics.median(alone), 1),
        failed=sum(seen.refused + sum(seen.failed.values()) for seen in seen_all),
    )


async def _capacity(client: AsyncClient, window_s: float) -> float:
    """Requests a second that clients in a closed loop get."""
    streams = Streams(client, Ask())
    streams.start(CAPACITY_CLIENTS)
    await asyncio.sleep(window_s / 4)
    streams.seen = seen = Seen()
    await asyncio.sleep(window_s)
    streams.seen = Seen()
    await streams.stop()
    return len(seen.total_s) / window_s


def gaps(seen: Seen) -> list[float]:
    return seen.gaps_s


def _ratio(
    some: list[Seen], others: list[Seen], times: Callable[[Seen], list[float]], share: float
) -> float:
    pairs = zip(some, others, strict=True)
    ratios = [percentile(times(a), share) / percentile(times(b), share) for a, b in pairs]
    return round(statistics.median(ratios), 3)


def _median(seen: list[Seen], share: float) -> float:
    return statistics.median(percentile(one.gaps_s, share) for one in seen)
