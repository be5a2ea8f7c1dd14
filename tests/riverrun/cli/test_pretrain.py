"""`riverrun pretrain` as a user meets it: kills, bad input, every kind of text, a topic."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner.pretrain.corpus import Piece
from riverrun.cli import main
from riverrun.cli.pretrain_input import Reader, files_as_inputs
from riverrun.errors import InvalidValue
from riverrun.produce import Record, produce
from riverrun.records import Document, Message, encode
from riverrun.settings import Settings
from tests.learner.pretrain import small
from tests.torch_settings import as_they_were

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("TEST_KILLS", "2"))
"""SIGKILLs in the middle of one run; more with TEST_KILLS."""

NUMBERS = (
    *("--set", "learner.num_threads=1", "--set", "learner.max_step_tokens=256"),
    *("--set", "learner.block_tokens=64", "--set", "learner.checkpoint_interval_s=0"),
    *("--set", "device=cpu"),
)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with as_they_were():
        yield


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.shape(tmp_path_factory.mktemp("shape"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(small.document(i).text * 8 for i in range(40)))
    return path


def pretrain(*args: object, model: Path | str) -> int:
    return main(["pretrain", *map(str, args), "--model", str(model), *NUMBERS])


def kill_after(num_steps: int, number: int, *args: object, model: Path) -> int:
    """The exit code of a process that got `number` after so many steps."""
    command = [sys.executable, "-u", __file__, str(num_steps), str(number), "pretrain"]
    command += [*map(str, args), "--model", str(model), *NUMBERS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, cwd=ROOT, timeout=120, check=False, capture_output=True
    ).returncode


def pieces(*paths: Path, profile: str | None = None) -> list[Piece]:
    reader = Reader(Settings(), profile, lambda _: None)
    return list(reader.files(list(paths)))


def test_killed_anywhere_the_same_command_arrives_at_the_same_bits(
    tmp_path: Path, text: Path, shape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert pretrain(text, "--output", whole, "--epochs", 2, model=shape) == 0
    for i in range(KILLS - 1):
        # Twenty of them fit into the run's steps, so that each finds it alive.
        code = kill_after(
            1 + (i + 2) % 3, signal.SIGKILL, text, "--output", killed, "--epochs", 2, model=shape
        )
        assert code == -signal.SIGKILL
    interrupted = kill_after(4, signal.SIGINT, text, "--output", killed, "--epochs", 2, model=shape)
    assert interrupted == 130
    capsys.readouterr()
    text.touch()
    os.utime(text, ns=(0, (whole / "training" / "plan.json").stat().st_mtime_ns))
    assert pretrain(text, "--output", killed, "--epochs", 2, model=shape) == 1
    assert "is the output of another pretraining: inputs is" in capsys.readouterr().err
    told = json.loads((killed / "training" / "plan.json").read_text())
    os.utime(text, ns=(0, told["inputs"][0]["modified_ns"]))
    assert pretrain(text, "--output", killed, "--epochs", 2, model=shape) == 0
    assert "goes on from step" in capsys.readouterr().err
    for name in ("model.safetensors", "curve.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert (killed / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert not (killed / "training" / "checkpoints").exists()
    assert pretrain(text, "--output", killed, "--epochs", 2, model=shape) == 0
    assert "done already" in capsys.readouterr().err


def test_plain_text_json_lines_and_gz_say_the_same(tmp_path: Path) -> None:
    paragraphs = ["One, and\nits second line.", "Two.", "x" * 1790, "Four."]
    plain = tmp_path / "a.txt"
    plain.write_text("\n\n" + "\n \n".join(paragraphs) + "\n")
    first, second = pieces(plain)
    assert (first.offset, second.offset) == (0, 2)
    assert first.document.text == "One, and\nits second line.\n\nTwo.\n"
    assert second.document.text.startswith("xxx")
    lines = tmp_path / "b.jsonl"
    rows = [{"text": "One."}, {"prompt": "Two?", "completion": "2."}, {"messages": 3}]
    lines.write_text("\n".join(["", *map(json.dumps, rows), "nothing"]))
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    reader = Reader(Settings(), None, lambda _: None)
    found = list(reader.files([plain, lines, packed]))
    assert [(p.partition, p.offset) for p in found[2:]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert found[2].document.source == "b.jsonl"
    assert found[3].document.messages == (Message("user", "Two?"), Message("assistant", "2."))
    assert reader.rejected == {"bad_field": 2, "bad_json": 2}


def test_cleaning_first_drops_and_changes_as_the_stream_does(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    long = "The river runs to the sea, and that is where all of the rivers are going to."
    rows = [{"text": "Too short."}, {"text": f"{long}\u00a0donâ€™t"}, {"text": long}]
    path.write_text("\n".join(map(json.dumps, [*rows, rows[2]])))
    reader = Reader(Settings(), "prose", lambda _: None)
    found = [piece.document.text for piece in reader.files([path])]
    assert found == [f"{long} don’t", long]
    assert reader.rejected == {"too_few_words": 1, "duplicate": 1}
    assert [p.document.text for p in pieces(path)][1] == rows[1]["text"], "unasked, it is left"


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("empty.txt", b"", "this one is empty"),
        ("blank.txt", b"\n \n\n", "this one has none"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "record 0: 'byte 0xe9 at 3"),
        ("latin.jsonl", b'{"text": "caf\xe9"}', "record 0: 'byte 0xe9"),
        ("torn.txt.gz", gzip.compress(b"a" * 5000)[:-9], "a whole gzip file"),
        ("not.txt.gz", b"text", "a whole gzip file"),
        ("bad.jsonl", b'{"text": 3}', "rejected records: 1 bad_field"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_left(
    name: str,
    content: bytes,
    named: str,
    tmp_path: Path,
    shape: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    output = tmp_path / "out"
    assert pretrain(path, "--output", output, model=shape) == 2
    assert named in capsys.readouterr().err
    path = tmp_path / "good.txt"
    path.write_text("Good text, and the same output takes it.")
    assert pretrain(path, "--output", output, "--held-out", 0, model=shape) == 0


def test_what_is_asked_for_wrongly_is_told(
    tmp_path: Path, text: Path, shape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*args: object, model: Path | str = shape) -> str:
        assert pretrain(*args, "--output", tmp_path / "out", model=model) == 2
        return capsys.readouterr().err

    assert "give either FILES or --topic" in told()
    assert "give either FILES or --topic" in told(text, "--topic", "raw")
    assert "files that can be read" in told(tmp_path / "none.txt")
    assert "each file once" in told(text, text)
    assert "it takes 'tiny', 'smollm2'" in told(text, model="tinny")
    assert "a profile: " in told(text, "--clean", "proze")
    assert "`finetune`, or different ones of" in told(text, "--strategy", "magic")
    assert "avalanche:EWC, avalanche:SI" in told(text, "--strategy", "avalanche:EWK")
    assert not list((tmp_path / "out" / "training").glob("plan.json"))
    origin = ("--strategy", "replay+origin", "--output", tmp_path / "origin")
    assert pretrain(text, *origin, model=shape) == 2
    assert "one without `origin`" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    assert pretrain(text, "--output", tmp_path / "other", model=shape) == 2
    assert "a new or empty directory" in capsys.readouterr().err


def test_another_process_on_the_same_output_is_refused(
    tmp_path: Path, text: Path, shape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from learner.pretrain.run import held

    with held(tmp_path / "out" / "training"):
        assert pretrain(text, "--output", tmp_path / "out", model=shape) == 1
    assert "another pretraining writes to" in capsys.readouterr().err


def test_without_matplotlib_the_numbers_are_there_and_it_says_so(
    tmp_path: Path,
    text: Path,
    shape: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    output = tmp_path / "out"
    assert pretrain(text, "--output", output, "--tokens", 2000, model=shape) == 0
    assert "pip install 'riverrun[plot]'" in capsys.readouterr().err
    assert not (output / "curve.png").exists()
    assert len((output / "curve.jsonl").read_bytes().splitlines()) >= 3
    monkeypatch.undo()
    assert pretrain(text, "--output", output, "--tokens", 2000, model=shape) == 0
    assert (output / "curve.png").exists(), "the same command again draws it"


def test_a_topic_is_read_to_its_end_raw_or_clean(kafka_settings: Settings) -> None:
    from kafka import KafkaProducer

    from riverrun.kafka import Topics

    topics = Topics(kafka_settings.kafka.topic_prefix)
    producer = KafkaProducer(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    document = Document(
        text="a\n\nb",
        source="qa",
        timestamp_ms=5,
        messages=(Message("user", "a"), Message("assistant", "b")),
    )
    for partition in (0, 1):
        producer.send(topics.raw, b"Plain text.", key=b"k", partition=partition)
        producer.send(topics.raw, b'{"text": 3}', partition=partition)
        headers = [("raw-offset", b"0")]
        producer.send(topics.clean, encode(document), partition=partition, headers=headers)
    producer.flush()
    producer.close()
    reader = Reader(kafka_settings, None, lambda _: None)
    raw = list(reader.topic(topics.raw))
    assert [(p.partition, p.offset, p.document.text) for p in raw] == [
        (0, 0, "Plain text."),
        (1, 0, "Plain text."),
    ]
    assert reader.rejected == {"bad_field": 2}
    assert [p.document for p in reader.topic(topics.clean)] == [document, document]
    with pytest.raises(InvalidValue, match="--topic: 'nowhere'"):
        list(reader.topic("nowhere"))


def test_a_topic_makes_a_model_and_its_dead_records_are_counted(
    kafka_settings: Settings, tmp_path: Path, shape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka = kafka_settings.kafka
    bad = [Record(b'{"text": 3}'), Record(b'{"text": 4}')]
    produce(kafka_settings, [*(Record(small.document(i).text.encode()) for i in range(30)), *bad])
    where = ("--bootstrap-servers", kafka.bootstrap_servers)
    where += ("--set", f"kafka.topic_prefix={kafka.topic_prefix}")
    topic, output = f"{kafka.topic_prefix}raw", tmp_path / "out"
    assert pretrain("--topic", topic, "--output", output, *where, model=shape) == 0
    said = capsys.readouterr()
    assert "2 records are no documents: bad_field" in said.err
    assert "30 documents" in said.err
    assert "riverrun up --model" in said.out
    assert (output / "model.safetensors").exists()
    assert len((output / "curve.jsonl").read_bytes().splitlines()) >= 1
    assert pretrain("--topic", "nowhere", "--output", tmp_path / "no", *where, model=shape) == 2
    assert "--topic: 'nowhere'" in capsys.readouterr().err


def test_inputs_are_known_by_size_and_time(text: Path) -> None:
    [before] = files_as_inputs([text])
    os.utime(text, ns=(0, 1))
    [after] = files_as_inputs([text])
    assert before.num_bytes == after.num_bytes
    assert after.modified_ns == 1 != before.modified_ns


def run_until_killed() -> int:
    """`THIS_FILE STEPS SIGNAL pretrain …`: riverrun that signals itself after so many steps."""
    from learner.step import Stepper

    num_steps, number = int(sys.argv[1]), int(sys.argv[2])
    step, done = Stepper.step, 0

    def counted(*args, **rest):  # type: ignore[no-untyped-def]
        nonlocal done
        report = step(*args, **rest)
        done += 1
        if done == num_steps:
            os.kill(os.getpid(), number)
        return report

    Stepper.step = counted  # type: ignore[method-assign]
    return main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(run_until_killed())
