"""Text of a source in quarantine: diverted, kept in one stretch a partition, learned once."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from learner.arrival import Arrival
from learner.identity import FILE
from learner.quarantine import Quarantine
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.undo.line import Line
from tests.learner.undo.test_identity import raw, text

# Even numbers are of source s0, odd ones of s1.
TEXTS = [text(i) for i in range(12)]


def kept_of(quarantine: Quarantine, source: str) -> list[tuple[int, int, int]]:
    return [(s.first, s.last, s.num_documents) for s in quarantine.sources()[source].stretches]


def test_only_the_sources_text_is_diverted_and_one_stretch_holds_it() -> None:
    quarantine = Quarantine()
    assert quarantine.divert(TEXTS) == (TEXTS, [])
    assert quarantine.add("s1")
    assert not quarantine.add("s1")
    for arrivals in (TEXTS[:4], TEXTS[4:9]):
        kept, diverted = quarantine.divert(arrivals)
        assert {a.document.source for a in kept} == {"s0"}
        assert len(kept) + len(diverted) == len(arrivals)
        quarantine.keep(diverted)
    assert kept_of(quarantine, "s1") == [(1, 7, 4)]


def test_what_was_released_is_not_mixed_with_what_is_diverted_later() -> None:
    quarantine = Quarantine()
    quarantine.add("s1")
    quarantine.keep([TEXTS[1], TEXTS[3]])
    assert list(quarantine.released()) == []
    assert quarantine.release("s1") == 2
    assert quarantine.release("s1") is None
    assert "s1" not in quarantine
    # In between text 5 is learned; it must not lie in a stretch.
    quarantine.take("s1", [TEXTS[1]])
    quarantine.add("s1")
    quarantine.keep([TEXTS[7]])
    assert kept_of(quarantine, "s1") == [(2, 3, 1), (7, 7, 1)]
    quarantine.release("s1")
    quarantine.take("s1", [TEXTS[3]])
    quarantine.take("s1", [TEXTS[7]])
    assert quarantine.sources() == {}


def test_it_is_the_same_after_a_checkpoint() -> None:
    quarantine, again = Quarantine(), Quarantine()
    quarantine.add("s1", "why", 3)
    quarantine.keep([TEXTS[1]])
    again.restore([quarantine.snapshot(whole=True)])
    assert again.sources() == quarantine.sources()
    assert "s1" in again


def learned(line: Line, steps: Sequence[list[Arrival]]) -> None:
    """s1 in quarantine after the first step, released before the last one."""
    first, *middle, last = steps
    line.learn(first)
    line.quarantine("s1")
    for arrivals in middle:
        if arrivals:
            line.learn(arrivals)
    line.release("s1")
    if last:
        line.learn(last, "s1")
    line.rest()


STEPS = [
    [TEXTS[0], TEXTS[1]],
    [TEXTS[2], TEXTS[3]],
    [TEXTS[5]],
    [TEXTS[7], TEXTS[6]],
    [TEXTS[3], TEXTS[5], TEXTS[7]],
]


def test_a_restart_learns_what_was_kept_just_so(tmp_path: Path, tokenizer: Tokenizer) -> None:
    line = Line(tmp_path / "line", tokenizer, TEXTS)
    learned(line, STEPS)
    assert line.state.progress.num_documents == 7
    assert line.state.quarantine.sources() == {}
    spans = line.state.progress.pending
    assert [span.only for span in spans if span.only] == ["s1"]
    assert spans[-1].num_documents == 3
    line.close()
    again = Line(tmp_path / "line", tokenizer, TEXTS)
    assert again.bits() == line.bits()
    again.close()


@pytest.mark.parametrize("gone", [3, 5, 7, 2])
def test_what_is_undone_is_undone_in_quarantine_and_after_it(
    tmp_path: Path, tokenizer: Tokenizer, gone: int
) -> None:
    line = Line(tmp_path / "line", tokenizer, TEXTS)
    learned(line, STEPS)
    undone = line.undo(raw(gone, gone))
    (tmp_path / "clean").mkdir()
    clean_identity = msgspec.structs.replace(fakes.identity(), run="cd34")
    (tmp_path / "clean" / FILE).write_bytes(msgspec.json.encode(clean_identity))
    clean = Line(tmp_path / "clean", tokenizer, TEXTS)
    learned(clean, [[a for a in step if a != TEXTS[gone]] for step in STEPS])
    for each in (undone, clean):
        each.learn([text(20)])
    # At the end of a stretch, what was there is still looked for, once, and not found.
    differs = {name for name, its in undone.bits().items() if clean.bits()[name] != its}
    assert differs <= {"quarantine"}
    assert undone.state.progress.num_documents == 7
    for each in (undone, clean):
        each.close()
