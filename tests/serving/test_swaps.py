"""Versions come and go over a real socket, a real store and real files; no answer notices."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from riverrun.answers import Answer
from riverrun.client import Client
from riverrun.store import VersionStore
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, wait_for


def wait_live(client: Client, version: str) -> None:
    def is_live() -> bool:
        status = client.status()
        return status.version is not None and status.version.id == version

    wait_for(is_live, f"{version} live")


def test_an_answer_is_greedy_of_the_version_it_names_before_during_and_after_a_swap(
    published: Published, client: Client
) -> None:
    first = published.store.promoted()
    assert first is not None
    before = client.generate("the river", max_tokens=20)
    during = client.stream("the river", max_tokens=200)
    pieces = iter(during)
    text = next(pieces)
    second = published.publish(2)
    wait_live(client, second)
    after = client.generate("the river", max_tokens=20)
    text += "".join(pieces)
    assert before.version.id == during.answer.version.id == first
    assert after.version.id == second
    assert before.text == published.greedy(first, "the river", 20)
    assert text == during.answer.text == published.greedy(first, "the river", 200)
    assert after.text == published.greedy(second, "the river", 20)
    assert after.text != before.text


def test_no_request_fails_or_mixes_versions_over_many_quick_swaps_under_load(
    published: Published, server: RunningServer
) -> None:
    num_swaps, prompts = 40, [f"prompt {i}" for i in range(6)]
    done = threading.Event()

    def ask(prompt: str) -> list[tuple[str, Answer]]:
        answers = []
        with Client(server.address, timeout_s=60, retries=0) as client:
            while not done.is_set():
                answers.append((prompt, client.generate(prompt, max_tokens=24)))
        return answers

    with ThreadPoolExecutor(len(prompts)) as pool, Client(server.address) as client:
        asking = [pool.submit(ask, prompt) for prompt in prompts]
        try:
            for step in range(2, num_swaps + 2):
                wait_live(client, published.publish(step))
        finally:
            done.set()
        answers = [pair for future in asking for pair in future.result()]
        status = client.status()
    assert status.swaps == num_swaps
    assert status.load.failed == 0
    assert len(answers) >= 2 * num_swaps
    assert len({answer.version.id for _, answer in answers}) > num_swaps / 2
    right: dict[tuple[str, str], str] = {}
    for prompt, answer in answers:
        key = (answer.version.id, prompt)
        if key not in right:
            right[key] = published.greedy(*key, 24)
        assert answer.text == right[key]


def test_weights_published_in_bf16_are_served_as_they_are(
    published: Published, client: Client
) -> None:
    version = published.publish(2, dtype=torch.bfloat16)
    wait_live(client, version)
    answer = client.generate("half as wide", max_tokens=20)
    assert (answer.version.id, answer.text) == (
        version,
        published.greedy(version, "half as wide", 20),
    )


@pytest.mark.parametrize("fault", ["bytes", "torn", "shape", "names", "nan", "infinite"])
def test_a_version_that_is_wrong_is_refused_and_the_old_one_stays(
    published: Published, server: RunningServer, client: Client, fault: str
) -> None:
    first = published.store.promoted()
    assert first is not None
    publish_wrong(published, fault)
    wait_for(lambda: client.status().refused_versions == 1, "refused")
    status = client.status()
    assert status.version is not None
    assert (status.version.id, status.state, status.swaps) == (first, "serving", 0)
    assert client.generate("still", max_tokens=9).text == published.greedy(first, "still", 9)
    assert server.metric("riverrun_serving_refused_versions_total") == 1
    # The next good one is taken as if nothing had been.
    third = published.publish(3)
    wait_live(client, third)
    assert client.generate("still", max_tokens=9).text == published.greedy(third, "still", 9)
    assert client.status().refused_versions == 1


def publish_wrong(published: Published, fault: str) -> None:
    tensors = dict(published.model(2).state_dict())
    if fault == "shape":
        tensors["model.norm.weight"] = torch.ones(16)
    elif fault == "names":
        tensors["model.surplus"] = torch.ones(2)
    elif fault in ("nan", "infinite"):
        tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float(fault[:3])
    version = published.publish_tensors(2, tensors)
    path = published.root / "store" / "versions" / version / "weights.safetensors"
    if fault == "bytes":
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    elif fault == "torn":
        path.write_bytes(path.read_bytes()[:-1000])
    published.store.promote(version)


def test_when_every_slot_answers_the_newest_version_is_taken_as_soon_as_one_is_free(
    published: Published,
) -> None:
    first = published.publish(1)
    with running_server(published.root, max_rows=4) as server:
        server.wait_ready()
        engine_slots = 3
        with Client(server.address, timeout_s=60, retries=0) as client:
            streams, versions = [], [first]
            for step in range(2, 2 + engine_slots):
                stream = client.stream(f"long {step}", max_tokens=200)
                pieces = iter(stream)
                next(pieces)
                streams.append((stream, pieces))
                versions.append(published.publish(step))
                if step < 1 + engine_slots:
                    wait_live(client, versions[-1])
            newest = published.publish(9)
            for stream, pieces in streams:
                for _ in pieces:
                    continue
                assert stream.answer.version.id in versions
            wait_live(client, newest)


def test_a_version_pruned_before_it_was_loaded_is_skipped(
    published: Published, client: Client
) -> None:
    gone = published.publish(2, promote=False)
    (published.root / "store" / "versions" / gone / "weights.safetensors").unlink()
    published.store.promote(gone)
    third = published.publish(3)
    wait_live(client, third)
    assert client.status().refused_versions == 0


def test_freshness_is_from_the_newest_record_to_its_swap_and_not_of_rehearsal(
    published: Published, server: RunningServer, client: Client
) -> None:
    assert client.status().freshness_s is None
    arrived_ms = int(time.time() * 1000) - 700
    wait_live(client, published.publish(2, newest_ms=arrived_ms))
    freshness_s = client.status().freshness_s
    assert freshness_s is not None
    assert 0.7 <= freshness_s < 30
    # The same newest record again: nothing new became fresh.
    wait_live(client, published.publish(3, newest_ms=arrived_ms))
    assert client.status().freshness_s == freshness_s
    assert server.metric("riverrun_serving_freshness_seconds_count") == 1
    assert server.metric("riverrun_serving_version_step") == 3
    assert server.metric("riverrun_serving_swaps_total") == 2


def test_weights_that_could_not_be_read_once_are_not_refused_and_served_the_next_time(
    published: Published,
    server: RunningServer,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = iter([OSError("the network is away")])
    weights = VersionStore.weights

    def read(store: VersionStore, version: str) -> contextlib.AbstractContextManager[Path]:
        for fault in faults:
            raise fault
        return weights(store, version)

    monkeypatch.setattr(VersionStore, "weights", read)
    second = published.publish(2)
    wait_live(client, second)
    assert client.status().refused_versions == 0
    assert server.metric("riverrun_serving_store_faults_total") == 1
    assert f"{second} could not be loaded" in caplog.text
    assert "the network is away" in caplog.text


def test_a_store_that_cannot_be_read_for_a_while_does_not_end_serving(
    published: Published, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_broken, was_asked = threading.Event(), threading.Event()
    is_broken.set()
    read = VersionStore.promoted

    def promoted(store: VersionStore) -> str | None:
        if is_broken.is_set():
            was_asked.set()
            raise OSError("the network is away")
        return read(store)

    monkeypatch.setattr(VersionStore, "promoted", promoted)
    assert was_asked.wait(10)
    assert client.generate("still here", max_tokens=3).completion_tokens <= 3
    is_broken.clear()
    wait_live(client, published.publish(2))
    assert client.status().refused_versions == 0
