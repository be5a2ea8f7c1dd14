"""Bursts come one by one, a change comes after what it changes, and all facts are asked again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest

from bench import facts_files
from bench.classroom import Classroom
from bench.facts import Facts, run
from bench.facts_asking import Known
from bench.facts_bursts import Bursts, parts_of, table, teach_in_bursts, tellings
from bench.facts_curves import Curves
from bench.facts_files import Fact, General, facts_in
from riverrun.errors import InvalidValue


def fact(name: str, num_documents: int = 1, *, was: str | None = None) -> Fact:
    return Fact(
        documents=[f"{name}{i}" for i in range(num_documents)],
        question=f"{name}?",
        answer=name,
        before=[] if was is None else [was],
        former=was,
    )


class Pupil:
    """Remembers the last `room` documents that it was told; a document has one rehearsal."""

    def __init__(self, room: int) -> None:
        self.seconds = 0.0
        self.processor_s = 0.0
        self.room = room
        self.known: list[str] = []
        self.log: list[Sequence[str] | str] = []
        self._is_due = False

    def tell(self, texts: Sequence[str]) -> None:
        self.log.append(texts)
        self.known = [*self.known, *texts][-self.room :]
        self.seconds += len(texts)
        self.processor_s += len(texts) / 2
        self._is_due = True

    def rehearse(self) -> bool:
        was_due, self._is_due = self._is_due, False
        self.log.append("rehearsed" if was_due else "nothing due")
        return was_due


class Sheet:
    """Looks at a pupil: a fact is known when one of its documents is."""

    def __init__(self, pupil: Pupil, facts: Sequence[Fact]) -> None:
        self._pupil, self._facts = pupil, facts

    def look(self, burst: int | None = None) -> Mapping[str, Known]:
        self._pupil.log.append(f"asked after {burst}")
        known = [
            i for i, one in enumerate(self._facts) if set(one.documents) & set(self._pupil.known)
        ]
        return {"ours": Known(known, [0], 1.5)}


def taught(
    facts: Sequence[Fact], num_bursts: int, room: int
) -> tuple[Bursts, Pupil, list[list[int]]]:
    pupil, results, saved = Pupil(room), dict[str, Bursts](), list[list[int]]()
    teach_in_bursts(
        cast(Classroom, pupil),
        cast(Curves, Sheet(pupil, facts)),
        facts,
        parts_of(facts, num_bursts),
        results,
        lambda: saved.append(results["ours"].answered[-1]),
    )
    return results["ours"], pupil, saved


@pytest.mark.parametrize(("num_facts", "num_bursts"), [(100, 10), (7, 3), (3, 3), (5, 1)])
def test_each_fact_is_in_one_burst_and_bursts_are_as_large_as_each_other(
    num_facts: int, num_bursts: int
) -> None:
    parts = parts_of([fact("a")] * num_facts, num_bursts)
    assert [i for part in parts for i in part] == list(range(num_facts))
    assert len(parts) == num_bursts
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_as_many_bursts_as_facts_at_most() -> None:
    for wrong in (0, 3):
        with pytest.raises(InvalidValue, match="--bursts"):
            parts_of([fact("a"), fact("b")], wrong)


def test_what_changes_is_told_otherwise_one_burst_earlier() -> None:
    facts = [fact("a", was="olda"), fact("b", 2), fact("c"), fact("d", was="oldd"), fact("e")]
    told = list(tellings(facts, [range(2), range(2, 3), range(3, 5)]))
    assert told == [["olda", "a0", "b0", "b1"], ["c0", "oldd"], ["d0", "e0"]]
    everything = [text for one in facts for text in [*one.before, *one.documents]]
    assert sorted(text for burst in told for text in burst) == sorted(everything)


def test_a_burst_is_rehearsed_until_nothing_is_due_before_the_next_one_comes() -> None:
    _, pupil, _ = taught([fact("a"), fact("b")], 2, room=9)
    assert pupil.log == [
        ["a0"],
        "rehearsed",
        "nothing due",
        "asked after 1",
        ["b0"],
        "rehearsed",
        "nothing due",
        "asked after 2",
    ]


def test_the_matrix_tells_what_later_bursts_left_of_earlier_ones() -> None:
    facts = [fact(name) for name in "abcdef"]
    bursts, _, saved = taught(facts, 3, room=3)
    assert bursts.answered == [[2, 0, 0], [1, 2, 0], [0, 1, 2]]
    assert saved == bursts.answered
    assert bursts.sizes == [2, 2, 2]
    assert bursts.general == [1, 1, 1]
    assert bursts.control_ratio == [1.5] * 3


def test_seconds_are_those_of_the_burst_a_fact_of_it() -> None:
    bursts, _, _ = taught([fact("a", 3), fact("b", 3), fact("c", 8)], 2, room=99)
    assert bursts.sizes == [1, 2]
    assert bursts.seconds == [3.0, 5.5]
    assert bursts.processor_s == [1.5, 2.75]


def test_changed_facts_are_counted_apart() -> None:
    facts = [fact("a", was="olda"), fact("b"), fact("c", was="oldc")]
    bursts, _, _ = taught(facts, 3, room=1)
    assert bursts.changing == [1, 0, 1]
    assert bursts.changed == [1, 0, 1]


def test_the_table_has_a_row_a_burst_and_hides_what_was_not_told_yet() -> None:
    bursts = Bursts(
        sizes=[10, 10],
        changing=[1, 2],
        answered=[[9, 0], [7, 8]],
        changed=[1, 3],
        general=[21, 20],
        control_ratio=[0.5, 1.25],
        seconds=[12.34, 15.0],
        processor_s=[6.0, 7.0],
    )
    first, second, summary = (text.split() for text in table("ours", bursts)[3:])
    assert first == ["1", "9", ".", "1", "21", "0.50", "12.3", "6.0"]
    assert second == ["2", "7", "8", "3", "20", "1.25", "15.0", "7.0"]
    assert " ".join(summary) == "of the first burst's 10 facts 9 at its end, 7 after 2 of 2 bursts"


@pytest.fixture(scope="module")
def measured() -> tuple[Facts, list[bytes]]:
    told = [fact(name, was=was) for name, was in (("one", None), ("two", None), ("six", "five"))]
    saved: list[bytes] = []
    result = run(
        "tiny",
        ["default", "replay-50"],
        told,
        [General("What?", "that")],
        ["the river runs to the sea"],
        lambda _: None,
        passes=2,
        bursts=2,
        save=lambda so_far: saved.append(msgspec.json.encode(so_far)),
    )
    return result, saved


def test_the_real_step_learns_bursts_and_each_is_saved_before_the_next(
    measured: tuple[Facts, list[bytes]],
) -> None:
    result, saved = measured
    assert list(result.bursts) == ["default", "replay-50"]
    for name, bursts in result.bursts.items():
        assert [look.burst for look in result.strategies[name]] == [1, 2]
        assert all(look.due == 0 for look in result.strategies[name])
        assert [len(row) for row in bursts.answered] == [2, 2]
        assert bursts.sizes == [1, 2]
        assert all(seconds > 0 for seconds in bursts.seconds)
    partial = [json.loads(one)["bursts"] for one in saved]
    assert [len(one["default"]["answered"]) for one in partial] == [1, 2, 2, 2]
    assert [len(one.get("replay-50", {}).get("answered", [])) for one in partial] == [0, 0, 1, 2]
    assert msgspec.json.decode(saved[-1], type=Facts) == result


def test_the_picture_of_bursts_can_be_drawn_before_the_last_one(
    measured: tuple[Facts, list[bytes]], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    from bench.facts_bursts_plot import draw_bursts

    partial = msgspec.json.decode(measured[1][0], type=Facts)
    for number, result in enumerate((partial, measured[0])):
        draw_bursts(result, tmp_path / "new" / f"{number}.png")
        assert (tmp_path / "new" / f"{number}.png").read_bytes().startswith(b"\x89PNG")


def test_a_hundred_facts_of_ours_share_no_answer_and_no_question() -> None:
    directory = facts_files.DIRECTORY
    hundred = facts_in(directory / "hundred.jsonl")
    assert len(hundred) == 100
    others = [one for half in ("tune", "report") for one in facts_in(directory / f"{half}.jsonl")]
    everything = [*hundred, *others]
    assert len({one.question.casefold() for one in everything}) == len(everything)
    words = [text for one in everything for text in (one.answer, one.former) if text]
    for one in hundred:
        same = [word for word in words if one.answer.casefold() in word.casefold()]
        assert same == [one.answer], f"{one.answer} is, or is in, another answer"
        assert all(one.answer.casefold() in text.casefold() for text in one.documents)
        assert one.answer.casefold() not in one.question.casefold()


def test_a_hundred_facts_are_of_all_kinds() -> None:
    hundred = facts_in(facts_files.DIRECTORY / "hundred.jsonl")
    once = [one for one in hundred if len(one.documents) == 1]
    assert len(once) == 10
    assert all(len(one.documents) == 3 for one in hundred if one not in once)
    assert sum(one.former is not None for one in hundred) >= 5
    assert sum(one.language == "de" for one in hundred) >= 5
    texts = [text for one in hundred for text in [*one.before, *one.documents]]
    assert len(set(texts)) == len(texts)
    for one in hundred:
        if one.former:
            assert all(one.former.casefold() in text.casefold() for text in one.before)
            assert all(one.answer.casefold() not in text.casefold() for text in one.before)
