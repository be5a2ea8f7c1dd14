"""Following files: what is sent, and from where the next start goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, TopicPartition

import riverrun.tail
from riverrun.cli.tail import tail
from riverrun.errors import RiverrunError
from riverrun.settings import Settings
from riverrun.tail import Follower, Positions


class Follow:
    """A follower that can be started again."""

    def __init__(self, directory: Path, **options: bool) -> None:
        self.path = directory / "app.log"
        self.state = directory / "positions.json"
        self.options = options
        self.follower: Follower | None = None
        self.restart()

    def close(self) -> None:
        if self.follower is not None:
            self.follower.close()

    def restart(self) -> None:
        """As after a crash: what was not saved is forgotten."""
        self.close()
        self.positions = Positions(self.state)
        self.follower = Follower(self.path, self.positions, max_line_bytes=100, **self.options)

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def take(self) -> list[str]:
        assert self.follower is not None
        return [line.decode() for line in self.follower.lines()]


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    monkeypatch.setattr(riverrun.tail, "QUIET_S", 0.0)
    with contextlib.closing(Follow(tmp_path)) as follow:
        yield follow


def test_a_file_that_comes_later_is_followed_line_by_line(follow: Follow) -> None:
    assert follow.take() == []
    follow.write("one\ntwo\r\nthr")
    assert follow.take() == ["one", "two"]
    follow.write("ee\n")
    assert follow.take() == ["three"]
    assert follow.take() == []


def test_a_restart_goes_on_behind_the_last_saved_line(follow: Follow) -> None:
    follow.write("one\ntwo\npart")
    follow.take()
    follow.positions.save()
    follow.write("ial\nthree\n")
    assert follow.take() == ["partial", "three"]
    follow.restart()
    assert follow.take() == ["partial", "three"], "not saved: sent again"


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(follow: Follow) -> None:
    follow.write("one\n")
    assert follow.take() == ["one"]
    follow.write("two\nlast without an end")
    os.rename(follow.path, f"{follow.path}.1")  # noqa: PTH104
    assert follow.take() == ["two"], "and no new file yet"
    follow.write("three\n")
    assert follow.take() == ["last without an end", "three"]


def test_a_rotation_while_nobody_followed_loses_nothing(follow: Follow) -> None:
    follow.write("one\ntwo\n")
    follow.take()
    follow.positions.save()
    follow.write("three\n")
    os.rename(follow.path, f"{follow.path}.1")  # noqa: PTH104
    follow.write("four\n")
    follow.restart()
    assert follow.take() == ["three", "four"]


def test_the_writer_of_a_rotated_file_may_go_on_for_a_while(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(riverrun.tail, "QUIET_S", 1000.0)
    with follow.path.open("a") as old:
        old.write("one\n")
        old.flush()
        assert follow.take() == ["one"]
        os.rename(follow.path, f"{follow.path}.1")  # noqa: PTH104
        follow.write("of the new file\n")
        assert follow.take() == []
        old.write("late\n")
        old.flush()
        assert follow.take() == ["late"]
    monkeypatch.setattr(riverrun.tail, "QUIET_S", 0.0)
    assert follow.take() == ["of the new file"]


def test_a_truncated_file_is_read_from_its_beginning(follow: Follow) -> None:
    follow.write("one\ntwo\n")
    follow.take()
    os.truncate(follow.path, 0)
    follow.write("3\n")
    assert follow.take() == ["3"]


def test_another_file_of_the_same_number_is_read_from_its_beginning(follow: Follow) -> None:
    follow.write("one\ntwo\n")
    follow.take()
    follow.positions.save()
    follow.path.write_text("other\nfile\nand longer\n")
    follow.restart()
    assert follow.take() == ["other", "file", "and longer"]


def test_from_the_end_leaves_out_what_was_there(tmp_path: Path) -> None:
    with contextlib.closing(Follow(tmp_path, from_end=True)) as follow:
        follow.write("old\n")
        assert follow.take() == []
        follow.write("new\n")
        assert follow.take() == ["new"]


def test_a_line_that_no_record_can_hold_is_counted_and_the_next_sent(follow: Follow) -> None:
    follow.write("x" * 101 + "\nok\n" + "y" * (3 * riverrun.tail.READ_BYTES))
    assert follow.take() == ["ok"]
    assert follow.follower is not None
    assert len(follow.follower._partial) <= 100
    follow.write("y\nafter\n")
    assert follow.take() == ["after"]
    assert follow.follower.num_too_long == 2


def test_positions_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    path.write_text("[]")
    with pytest.raises(RiverrunError, match="remove it"):
        Positions(path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_command_sends_in_order_under_the_files_name_and_goes_on_after_a_stop(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "ferry.log"
    kafka = kafka_settings.kafka
    assert kafka.bootstrap_servers is not None
    command = [
        *(sys.executable, "-m", "riverrun", "tail", str(path)),
        *("--data-dir", str(kafka_settings.data_dir)),
        *("--bootstrap-servers", kafka.bootstrap_servers),
        *("--set", f"kafka.topic_prefix={kafka.topic_prefix}"),
    ]
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=None, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(f"{kafka.topic_prefix}raw", p) for p in range(4)])
    records = []

    def seen(number: int) -> bool:
        for some in consumer.poll(timeout_ms=100).values():
            records.extend(some)
        return len(records) >= number

    path.write_text("line 0\n")
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    wait_for(lambda: seen(1))
    with path.open("a") as file:
        file.write("".join(f"line {i}\n" for i in range(1, 100)))
    wait_for(lambda: seen(100))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert output == b"100 records acknowledged\n"
    with path.open("a") as file:
        file.write("line 100\nhalf a")
    done = subprocess.run([*command, "--once"], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"1 record acknowledged\n"
    assert b"its last line (6 bytes) has no end yet" in done.stderr
    wait_for(lambda: seen(101))
    consumer.close()
    assert [record.value for record in records] == [b"line %d" % i for i in range(101)]
    assert {record.partition for record in records} == {records[0].partition}
    assert dict(records[0].headers)["source"] == b"ferry.log"


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    arguments = ["--data-dir", str(tmp_path), str(tmp_path / "fery.log"), "--once"]
    result = CliRunner().invoke(tail, arguments)
    assert result.exit_code == 2
    assert "fery.log: no such file" in result.stderr
