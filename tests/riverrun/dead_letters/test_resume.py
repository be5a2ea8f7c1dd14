"""A pause ended in a real Kafka, with a real stream worker."""

import contextlib
import json
from collections import Counter
from pathlib import Path

from riverrun.dead_letters.letters import DeadLetters
from riverrun.produce import Record, produce
from riverrun.settings import Settings
from tests.riverrun.dead_letters.desk import clean, riverrun
from tests.stream.running_worker import Readout


def reasons(letters: DeadLetters) -> Counter[str]:
    return Counter(letter.rejection.reason for letter in letters.letters())


def test_a_paused_source_flows_again_on_command_and_its_text_is_sent_back(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    strict = kafka_settings.model_copy(
        update={
            "stream": kafka_settings.stream.model_copy(
                update={"pause_rejections": 5, "pause_share": 0.5}
            )
        }
    )
    bad = [Record(b"\xff", source="broken", key=b"k") for _ in range(5)]
    produce(strict, [*bad, Record(b"Kept back.", source="broken", key=b"k")])
    clean(strict)
    with DeadLetters(strict) as letters:
        assert reasons(letters) == {"not_utf8": 5, "paused": 1}
        # Another worker, of another directory, takes over what the first one knew.
        strict = strict.model_copy(update={"data_dir": tmp_path / "other"})
        produce(strict, [Record(b"Kept back too.", source="broken", key=b"k")])
        clean(strict)
        assert reasons(letters)["paused"] == 2
        told = riverrun(strict, "dead-letters", "resume", "broken")
        assert "send-back --reason paused --source broken" in told
        output = riverrun(strict, "dead-letters", "send-back", "--reason", "paused")
        assert output == "2 sent back\n"
        clean(strict)
        assert reasons(letters)["paused"] == 2
    with contextlib.closing(Readout(strict)) as readout:
        for _ in range(50):
            readout.poll()
        texts = [json.loads(one.record.value)["text"] for one in readout.clean]
    assert texts == ["Kept back.", "Kept back too."], "in their order"
