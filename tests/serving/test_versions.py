"""Which weights answer: pinned, followed, by id, at least this step, at least this offset."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from riverrun.client import Client
from riverrun.errors import RequestFailed
from riverrun.receipt import Receipt
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, slowed_engine, wait_for
from tests.serving.stepped_engine import SteppedEngine
from tests.serving.test_swaps import wait_live


def refused(client: Client, code: str, **options: object) -> RequestFailed:
    with pytest.raises(RequestFailed) as failed:
        client.generate("x", max_tokens=2, **options)  # type: ignore[arg-type]
    assert failed.value.code == code, failed.value
    return failed.value


def loaded(server: RunningServer) -> float:
    return server.metric("riverrun_serving_load_seconds_count")


def test_a_version_by_id_is_loaded_beside_the_live_one_and_kept_for_the_next_request(
    published: Published, server: RunningServer, client: Client
) -> None:
    first = published.store.promoted()
    assert first is not None
    held = published.publish(7, promote=False)
    for _ in range(3):
        answer = client.generate("by name", max_tokens=20, version=held)
        assert (answer.version.id, answer.text) == (held, published.greedy(held, "by name", 20))
    assert loaded(server) == 2
    answer = client.generate("by name", max_tokens=20, version=first)
    assert (answer.version.id, answer.text) == (first, published.greedy(first, "by name", 20))
    status = client.status()
    assert status.version is not None
    assert (status.version.id, status.swaps) == (first, 0)


def test_an_unknown_version_is_not_found_and_one_thinned_away_names_the_nearest(
    published: Published, server: RunningServer, client: Client
) -> None:
    assert refused(client, "NOT_FOUND", version="test-000099-00000000").reason == "UNKNOWN_VERSION"
    refused(client, "NOT_FOUND", min_version="test-000099-00000000", timeout_s=5)
    versions = [published.publish(step, promote=False) for step in (5, 7, 11)]
    (published.root / "store" / "versions" / versions[1] / "weights.safetensors").unlink()
    failure = refused(client, "FAILED_PRECONDITION", version=versions[1])
    assert (failure.reason, failure.metadata["nearest"]) == ("VERSION_GONE", versions[0])
    assert client.generate("x", max_tokens=2, version=versions[0]).version.id == versions[0]


def test_a_version_by_id_that_is_wrong_is_refused_and_counted(
    published: Published, server: RunningServer, client: Client
) -> None:
    version = published.publish(5, promote=False)
    path = published.root / "store" / "versions" / version / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert refused(client, "FAILED_PRECONDITION", version=version).reason == "VERSION_REFUSED"
    assert server.metric("riverrun_serving_refused_versions_total") == 1
    assert client.generate("x", max_tokens=2).completion_tokens <= 2


def test_versions_by_id_never_take_the_slot_of_the_next_live_one(published: Published) -> None:
    published.publish(1)
    old = [published.publish(step, promote=False) for step in (2, 3, 4)]
    with (
        running_server(published.root, weight_slots=4) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        with slowed_engine(0.005):
            streams = [client.stream("long", max_tokens=250, version=one) for one in old[:2]]
            pieces = [iter(stream) for stream in streams]
            for one in pieces:
                next(one)
            failure = refused(client, "RESOURCE_EXHAUSTED", version=old[2])
            assert failure.retry_after_s
            wait_live(client, published.publish(9))
            assert client.status().load.rows == 2
        for stream, one, version in zip(streams, pieces, old, strict=False):
            list(one)
            assert stream.answer.text == published.greedy(version, "long", 250)
        assert client.generate("x", max_tokens=2, version=old[2]).version.id == old[2]


def test_a_request_after_an_offset_waits_for_weights_that_learned_it(
    published: Published, server: RunningServer, client: Client
) -> None:
    receipt = Receipt("raw")
    receipt.add(0, 25)
    with ThreadPoolExecutor(3) as pool:
        waiting = [
            pool.submit(client.generate, "x", max_tokens=9, after=receipt),
            pool.submit(client.generate, "x", max_tokens=9, min_step=3),
        ]
        # Offsets up to 19 are learned by version 2: not yet.
        second = published.publish(2)
        wait_live(client, second)
        status = client.status()
        assert (status.load.rows, status.load.waiting) == (0, 0)
        assert not any(future.done() for future in waiting)
        third = published.publish(3)
        for future in waiting:
            answer = future.result(30)
            assert (answer.version.id, answer.text) == (third, published.greedy(third, "x", 9))
    assert client.generate("x", max_tokens=2, after={0: 29}).version.id == third
    scores = client.score(["some text"])
    assert scores.version.id == third


def test_an_offset_that_never_comes_ends_at_the_deadline_with_what_is_served(
    published: Published, server: RunningServer, client: Client
) -> None:
    first = published.store.promoted()
    started = time.monotonic()
    failure = refused(client, "DEADLINE_EXCEEDED", after={0: 10**6, 3: 5}, timeout_s=1.0)
    assert 0.5 < time.monotonic() - started < 5
    assert failure.reason == "VERSION_NOT_YET"
    assert failure.metadata["present"] == "0:10,3:0"
    assert (failure.metadata["live"], failure.metadata["step"]) == (first, "1")
    assert client.generate("x", max_tokens=2, after={0: 9}).version.id == first


def test_without_a_deadline_a_wait_ends_at_the_servers_bound_and_waits_are_bounded(
    published: Published,
) -> None:
    published.publish(1)
    with (
        running_server(published.root, max_version_wait_s=1.0, max_version_waits=1) as server,
        Client(server.wait_ready(), timeout_s=None, retries=0) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(refused, client, "DEADLINE_EXCEEDED", min_step=99)
        wait_for(lambda: server.metric("riverrun_serving_version_waits") == 1, "one that waits")
        refusals = 0
        while not waiting.done():
            with pytest.raises(RequestFailed) as failed:
                client.generate("x", max_tokens=2, min_step=99, timeout_s=0.2)
            refusals += failed.value.code == "RESOURCE_EXHAUSTED"
        assert refusals
        assert waiting.result().reason == "VERSION_NOT_YET"
        assert client.generate("x", max_tokens=2).completion_tokens <= 2


def test_a_minimum_version_takes_its_line_and_no_other(
    published: Published, server: RunningServer, client: Client
) -> None:
    second = published.publish(2, parent=published.store.promoted())
    aside = published.publish(3, parent=None, run="other")
    wait_live(client, aside)
    refused(client, "DEADLINE_EXCEEDED", min_version=second, timeout_s=0.5)
    fourth = published.publish(4, parent=second)
    answer = client.generate("x", max_tokens=2, min_version=second, timeout_s=30)
    assert answer.version.id == fourth


def test_an_answer_that_follows_is_greedy_of_each_version_from_its_boundary_on(
    published: Published,
) -> None:
    stepped = SteppedEngine(published)
    versions = [published.publish(step) for step in (1, 2, 3)]
    stepped.offer(versions[0])
    sequence = stepped.submit("the river and its banks", 40, follows=True)
    beside = stepped.submit("a neighbour", 40)
    for version in versions[1:]:
        for _ in range(8):
            stepped.engine.step()
        stepped.offer(version)
    stepped.finish()
    end = stepped.last(sequence).end
    assert end is not None
    assert [one.manifest.version for one in end.switches] == versions
    starts = [one.num_tokens for one in end.switches]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] < 40
    said = stepped.ids(sequence)
    for version, start, stop in zip(versions, starts, [*starts[1:], 40], strict=True):
        prefix = sequence.tokens[: sequence.num_prompt_tokens] + said[:start]
        assert said[start:stop] == published.greedy_after(version, prefix, stop - start)
    # Marks stand between the texts: as many tokens before them as they say.
    before, marks = 0, []
    for delta in stepped.deltas[sequence]:
        if delta.switched is not None:
            marks.append((delta.switched.manifest.version, before))
        before += delta.num_tokens
    assert marks == list(zip(versions[1:], starts[1:], strict=True))
    assert stepped.text(beside) == published.greedy(versions[0], "a neighbour", 40)


def test_swaps_quicker_than_recomputing_cannot_hold_an_answer_that_follows(
    published: Published,
) -> None:
    stepped = SteppedEngine(published, prefill_tokens=4)
    versions = [published.publish(step) for step in (1, 2)]
    stepped.offer(versions[0])
    sequence = stepped.submit("twenty tokens or more", 12, follows=True)
    for i in range(600):
        if stepped.slots.live is not None and not stepped.slots.has_offer:
            stepped.offer(versions[(i + 1) % 2])
        stepped.engine.step()
        if stepped.deltas[sequence] and stepped.last(sequence).end is not None:
            break
    end = stepped.last(sequence).end
    assert end is not None
    assert end.num_tokens == 12
    assert len(end.switches) > 3


def test_a_stream_that_follows_marks_the_change_and_the_answer_lists_its_versions(
    published: Published, server: RunningServer, client: Client
) -> None:
    first = published.store.promoted()
    assert first is not None
    prompts = (f"follow me {i}" for i in range(99))
    prompt = next(one for one in prompts if len(published.greedy_ids(first, one, 100)) == 100)
    with slowed_engine(0.005):
        stream = client.stream(prompt, max_tokens=220, follow=True)
        pieces = iter(stream)
        text = next(pieces)
        second = published.publish(2)
        wait_live(client, second)
        text += "".join(pieces)
    versions = stream.answer.versions
    assert versions is not None
    assert [one.version.id for one in versions] == [first, second]
    assert stream.answer.version.id == second
    assert versions[0].completion_tokens == 0
    assert 0 < versions[1].completion_tokens < stream.answer.completion_tokens <= 220
    assert stream.answer.text == text
    assert client.generate("pinned", max_tokens=2).versions is None
    assert server.metric("riverrun_serving_tokens_total", {"kind": "recomputed"}) > 0


def test_what_holds_old_weights_too_long_is_ended_with_its_text_so_far(
    published: Published,
) -> None:
    stepped = SteppedEngine(published, max_pin_s=0.0)
    versions = [published.publish(step) for step in (1, 2)]
    stepped.offer(versions[0])
    sequence = stepped.submit("long", 100)
    follower = stepped.submit("long", 100, follows=True)
    for _ in range(5):
        stepped.engine.step()
    stepped.offer(versions[1])
    stepped.engine.step()
    wait_for(
        lambda: stepped.engine.step() or stepped.last(sequence).error is not None, "the pin's end"
    )
    said = len(stepped.ids(sequence))
    assert sum(delta.num_tokens for delta in stepped.deltas[sequence]) == said
    expected = published.greedy(versions[0], "long", said)
    assert stepped.text(sequence).rstrip("�") == expected.rstrip("�")
    assert "max_pin_s" in str(stepped.last(sequence).error)
    stepped.finish()
    assert stepped.last(follower).end is not None
    # Both old slots are free again.
    assert stepped.slots.stage(0.0) is not None


def test_a_pin_that_is_too_old_is_aborted_over_the_socket_and_frees_the_slot(
    published: Published,
) -> None:
    published.publish(1)
    with (
        slowed_engine(0.005),
        running_server(published.root, max_pin_s=0.2) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        stream = client.stream("long", max_tokens=250)
        pieces = iter(stream)
        assert next(pieces)
        published.publish(2)
        with pytest.raises(RequestFailed) as failed:
            list(pieces)
        assert (failed.value.code, failed.value.reason) == ("ABORTED", "PIN_EXPIRED")
        wait_for(lambda: client.status().load.rows == 0, "the row")
