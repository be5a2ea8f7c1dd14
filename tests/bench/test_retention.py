"""The stream is all of the text but its held-out ends; scores are what their definitions say."""

import json
import math
from pathlib import Path

import msgspec
import pytest

from bench import languages, retention
from bench.languages import RECORD_BYTES, records
from bench.retention import Retention, Score, names_in, recipe_of, retrain_recipe
from learner.recipe import SCRATCH
from riverrun.errors import InvalidValue
from riverrun.model.zoo import locate

TEXTS = {
    "en": "the river runs to the sea and the sea is wide\n",
    "de": "der Fluss läuft zum Meer\n",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two languages of 4 kB, of which 1 kB is held out."""
    monkeypatch.setattr(languages, "HELD_OUT_BYTES", 1000)
    path = tmp_path / "data.jsonl"
    lines = [
        json.dumps({"source": name, "text": text * 10})
        for name, text in TEXTS.items()
        for _ in range(4000 // len(text) // 10)
    ]
    path.write_text("\n".join(lines))
    return path


def test_records_leave_nothing_out_and_are_short() -> None:
    for text in ("", "a\n" * 2000, "é" * 3000, "one line\n\nanother " + "x" * 600, "ends\n"):
        pieces = records(text)
        assert "".join(pieces) == text
        assert all(0 < len(piece.encode()) <= RECORD_BYTES for piece in pieces)


def test_the_end_of_each_language_is_held_out(data: Path) -> None:
    en, de = languages.languages(data)
    assert (en.name, de.name) == ("en", "de")
    for one in (en, de):
        assert sum(len(text.encode()) for text in one.held_out) in (999, 1000)
        whole = "".join(one.records) + "".join(one.held_out)
        assert len(whole) > 3000
        assert set(whole.splitlines()) - set(TEXTS[one.name].splitlines()) <= {""} | set(
            fragments(TEXTS[one.name].strip())
        )


def fragments(line: str) -> list[str]:
    """A line that was cut where the held-out text begins."""
    return [line[i:] for i in range(len(line))] + [line[:i] for i in range(len(line))]


@pytest.mark.parametrize("text", ["", "no json\n", '{"text": "a"}\n', '{"source": "en"}\n'])
def test_data_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidValue, match="--data"):
        languages.languages(path)
    with pytest.raises(InvalidValue, match="--data"):
        languages.languages(tmp_path / "absent.jsonl")


def test_a_strategy_that_is_not_measured_is_refused() -> None:
    assert names_in("all") == list(retention.STRATEGIES)
    assert names_in("naive,ours") == ["naive", "ours"]
    with pytest.raises(InvalidValue, match=r"--strategies: 'magic'.* avalanche:EWC"):
        names_in("ours,magic")


def test_the_others_differ_from_ours_in_what_they_are() -> None:
    base = retention.ours("float32")
    naive, replay = recipe_of("naive", base), recipe_of("avalanche:Replay", base)
    assert (naive.strategy, naive.optimizer) == ("finetune", "adamw")
    assert (replay.strategy, replay.optimizer, replay.replay_share) == ("replay", "adamw", 0.5)
    assert recipe_of("ours", base) == base
    assert base.max_passes > 1 == naive.max_passes == replay.max_passes
    again, num_passes = retrain_recipe(
        msgspec.structs.replace(
            base, strategy="replay", replay_share=0.75, max_step_tokens=100, max_passes=3
        )
    )
    assert (again.strategy, again.max_step_tokens, again.max_passes) == ("finetune", 400, 1)
    assert num_passes == 4 + 2, "those of the stream with its replay, and two at rest"
    assert again.optimizer == base.optimizer


def test_scores_are_what_their_definitions_say(data: Path, tmp_path: Path) -> None:
    base = msgspec.structs.replace(
        retention.ours("float32"),
        strategy="replay",
        replay_share=0.5,
        max_step_tokens=1024,
        max_passes=2,
    )
    result = retention.run(data, ["ours", "retrain"], lambda _: None, base=base)
    ours, retrained = result.strategies["ours"], result.strategies["retrain"]
    assert ours.prequential is not None
    assert ours.forgetting is not None
    # A model that knows nothing pays log2(260) a token, and a token more for the end of a record.
    assert 3.0 < ours.final < ours.prequential < math.log2(260) * (1 + 2 / RECORD_BYTES) + 0.1
    assert ours.final == pytest.approx(sum(ours.by_language.values()) / 2)
    at = dict(ours.curve)
    at_the_boundary, at_end = at[result.boundaries[0]], at[result.boundaries[-1]]
    assert ours.forgetting == pytest.approx(ours.by_language["en"] - at_the_boundary["en"])
    assert ours.at_end is not None
    assert ours.at_end.final == pytest.approx(sum(at_end.values()) / 2)
    assert ours.at_end.forgetting == pytest.approx(at_end["en"] - at_the_boundary["en"])
    # All of it is due at the stream's end, and shown once more.
    num_bytes = result.boundaries[-1]
    assert ours.curve[-1] == (2 * num_bytes, ours.by_language)
    # One pass and as much again from the memory, less in the first step, which has no memory yet.
    unit = 6 * result.parameters * num_bytes
    assert 1.6 < ours.at_end.flops / unit < 2.1
    # At rest nothing is replayed at first, and half of each step at last: 1 / (1 - due / 2).
    assert (ours.flops - ours.at_end.flops) / unit == pytest.approx(2 * math.log(2), rel=0.1)
    assert retrained.prequential is None
    assert retrained.flops_once is not None
    assert retrained.flops == pytest.approx(5.5 * retrained.flops_once)
    assert retrained.at_end is None
    assert 2.9 < retrained.flops_once / unit < 3.1
    assert msgspec.json.decode(msgspec.json.encode(result), type=Retention) == result


def test_an_earlier_run_on_the_same_data_stands_beside(data: Path, tmp_path: Path) -> None:
    base = msgspec.structs.replace(retention.ours("float32"), strategy="replay", replay_share=0.0)
    file = tmp_path / "naive.json"
    naive = retention.run(data, ["naive"], lambda _: None, max_bytes=1000, base=base)
    file.write_bytes(msgspec.json.encode(naive))
    earlier = retention.earlier_in(file)
    both = retention.run(
        data, ["ours"], lambda _: None, max_bytes=1000, base=base, earlier=[earlier]
    )
    assert list(both.strategies) == ["ours", "naive"]
    assert both.strategies["naive"] == naive.strategies["naive"]
    with pytest.raises(InvalidValue, match=r"--beside.* on the same data"):
        retention.run(data, ["ours"], lambda _: None, max_bytes=1200, earlier=[earlier])
    file.write_text("{}")
    with pytest.raises(InvalidValue, match="--beside"):
        retention.earlier_in(file)


@pytest.mark.parametrize(("name", "is_read"), [("LwF", True), ("A-GEM", False)])
def test_what_a_plugin_runs_beside_the_new_text_is_counted(
    data: Path, name: str, is_read: bool
) -> None:
    """From the second language on: LwF's teacher reads the new text, A-GEM trains on a sample."""
    pytest.importorskip("avalanche", reason="Avalanche's plugins are measured when it is there")
    base = retention.ours("float32")
    english, german = languages.languages(data, 1000)
    one = retention.Run(locate("tiny"), recipe_of(f"avalanche:{name}", base))
    one.learn(english.records, english.name)
    num_new = one.num_trained
    assert one.num_taught == 0
    one.learn(german.records, german.name)
    num_german = one.num_trained - num_new
    if is_read:
        assert one.num_taught == num_german > 0
    else:
        expected = retention.AGEM_SAMPLE * base.block_tokens
        assert num_german - expected == pytest.approx(num_new, rel=0.1)
        assert one.num_taught == 0


def test_a_teacher_that_reads_is_counted() -> None:
    """2 N a token that is read, 6 N a token that is trained."""
    one = object.__new__(retention.Run)
    one.num_parameters, one.num_trained, one.num_taught = 10, 7, 3
    assert one.flops == 10 * (6 * 7 + 2 * 3)


def test_the_picture_shows_every_online_strategy(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the picture; it is optional")
    from bench.retention_plot import draw

    bits = {"en": 3.0, "de": 4.0}
    score = Score(
        prequential=4.0, final=3.5, forgetting=0.0, flops=1e12, seconds=1.0, steps=3,
        recipe=SCRATCH, by_language=bits, curve=[(100, bits), (200, bits)],
    )  # fmt: skip
    scores = {"ours": score, "naive": score, "retrain": msgspec.structs.replace(score, curve=[])}
    result = Retention(model="tiny", parameters=1, boundaries=[100, 200], strategies=scores)
    draw(result, tmp_path / "images" / "retention.png")
    assert (tmp_path / "images" / "retention.png").read_bytes()[:4] == b"\x89PNG"
