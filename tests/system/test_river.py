"""The whole river: from a producer's record to a token, and back."""

import json
import shutil
import subprocess
import sys
import threading
from collections import Counter

import pytest

from riverrun.answers import LearnedDocument, Version
from riverrun.client import Client
from riverrun.demo.load import Load
from riverrun.errors import RiverrunError
from riverrun.produce import RawProducer, Record, produce
from riverrun.records import Span
from tests.system.river import River, riverrun, wait_until


def traced_texts(river: River) -> list[str]:
    """The texts behind the promoted version, as `riverrun trace` shows them."""
    shown = json.loads(riverrun(river, "trace", "--all", "--json"))
    return [document["document"]["text"] for document in all_documents(shown)]


def all_documents(shown: object) -> list[dict[str, dict[str, str]]]:
    """Every object with a `document` in it, at whatever depth."""
    if isinstance(shown, dict):
        if "document" in shown:
            return [shown]
        return [found for value in shown.values() for found in all_documents(value)]
    if isinstance(shown, list):
        return [found for value in shown for found in all_documents(value)]
    return []


def traced_over_grpc(river: River) -> list[LearnedDocument]:
    """The documents behind the live version and all before it, each within the span it follows."""
    documents: list[LearnedDocument] = []
    span: Span | None = None
    with river.client() as client:
        for event in client.trace(max_versions=100_000, documents=True):
            if isinstance(event, Version):
                span = None
            elif isinstance(event, Span):
                span = event
            else:
                assert isinstance(event, LearnedDocument), "all of it is still in Kafka"
                assert span is not None
                assert (event.step, event.partition) == (span.step, span.partition)
                assert span.raw_first <= event.raw_offset <= span.raw_last
                assert span.clean_first <= event.clean_offset <= span.clean_last
                documents.append(event)
    return documents


def test_text_from_a_pipe_ends_up_in_a_version_that_trace_can_show(river: River) -> None:
    text = "The ferry leaves at noon from the northern pier."
    shown = json.loads(riverrun(river, "produce", "--json", "-", stdin=f"{text}\n".encode()))
    assert shown["records"] == 1
    wait_until(river.is_at_rest, "the record is learned")
    assert text in traced_texts(river)
    documents = traced_over_grpc(river)
    assert text in [document.text for document in documents]
    places = Counter((one.partition, one.raw_offset) for one in documents)
    assert places == river.learned()


def test_text_from_kcat_ends_up_in_a_version_that_trace_can_show(river: River) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not installed")
    text = "The ferry was late, says a producer that is not Python."
    subprocess.run(
        [kcat, "-P", "-b", river.address("broker"), "-t", river.topics.raw],
        input=text.encode(),
        check=True,
        timeout=60,
    )
    wait_until(river.is_at_rest, "the record is learned")
    assert text in traced_texts(river)


def test_bad_records_become_dead_letters_and_hold_nobody_up(river: River) -> None:
    before = river.rejected()
    bad = [b"\xff\xfe not text", b"   ", b"x" * (10 * 2**20), b'{"text": 7}']
    produce(river.settings, [Record(value) for value in [*bad, b"Good text among the bad."]])
    wait_until(river.is_at_rest, "the good record is learned")
    after = river.rejected()
    reasons = sorted(after[place] for place in after.keys() - before.keys())
    assert reasons == ["bad_field", "empty", "not_utf8", "too_large"]
    assert "Good text among the bad." in traced_texts(river)


def test_an_answer_names_the_version_that_gave_it(river: River) -> None:
    with river.client() as client:
        answer = client.generate("The ferry", max_tokens=8)
    assert answer.version.id in river.store.versions()


@pytest.mark.timeout(600)
def test_whatever_is_killed_every_record_is_learned_once_or_rejected_once(river: River) -> None:
    """SIGKILL of each process in turn while text flows in and a user keeps asking."""
    stop = threading.Event()
    sent: list[int] = []

    def write() -> None:
        number = 0
        while not stop.wait(0.02):
            value = b"" if number % 20 == 19 else f"Message {number} of the flood.".encode()
            try:
                with RawProducer(river.settings) as producer:
                    for _ in range(10):
                        producer.send(Record(value or b" ", source="flood"))
            except RiverrunError:
                continue  # Kafka was away; what was acknowledged counts all the same.
            sent.append(number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    load = Load(river.address("serving"))
    try:
        wait_until(lambda: len(sent) > 5, "text flows")
        for name in ("stream", "learner", "broker", "learner", "stream"):
            river.kill(name)
        load.start()
        wait_until(lambda: load.tokens > 0, "answers come")
    finally:
        stop.set()
        writer.join()
        if load.requests:
            load.stop()
    assert load.failed == 0, load.last_error
    wait_until(river.is_at_rest, "all is learned", within_s=240)

    learned, rejected, cleaned = river.learned(), river.rejected(), river.cleaned()
    held_out = river.held_out()
    assert set(learned.values()) == {1}, "a record was learned twice"
    assert not set(learned) & held_out, "a record was held out and learned all the same"
    assert set(learned) | held_out == cleaned, "a clean record was not learned"
    assert not cleaned & set(rejected)
    ends = river.end_offsets(river.topics.raw)
    every = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
    assert set(learned) | held_out | set(rejected) == every, "a raw record is nowhere"
    serving = river.look().serving
    assert serving is not None
    assert serving.version is not None
    assert serving.version.documents == len(learned)


@pytest.mark.timeout(300)
def test_serving_killed_comes_back_with_the_promoted_version(river: River) -> None:
    process = river.look().process("serving")
    river.kill("serving")
    assert river.address("serving") == process.address, "clients would not find it"
    with river.client() as client:
        answer = client.generate("The ferry", max_tokens=4)
    assert answer.version.id == river.store.promoted()


def test_status_and_versions_answer_programs(river: River) -> None:
    status = json.loads(riverrun(river, "status", "--json"))
    assert {process["state"] for process in status["processes"]} == {"ready"}
    promoted = river.store.promoted()
    assert promoted is not None
    assert promoted in riverrun(river, "versions", "--json")


def test_a_second_system_in_the_same_directory_is_refused(river: River) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "riverrun", "up", "--data-dir", str(river.settings.data_dir)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"in use" in done.stderr


def test_a_client_without_a_server_gets_one_clear_error() -> None:
    with Client("127.0.0.1:9", timeout_s=2) as client, pytest.raises(RiverrunError, match="9"):
        client.generate("hello")
