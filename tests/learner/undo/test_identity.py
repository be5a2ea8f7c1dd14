"""What was undone has never been: the new line is that of a learner that did not see it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from learner.arrival import Arrival
from learner.publish import hash_of_published
from riverrun.errors import CheckpointError, InvalidValue
from riverrun.records import LeftOut
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.undo.line import Line

Open = Callable[..., Line]


@pytest.fixture
def open_line(tmp_path: Path, tokenizer: Tokenizer) -> Iterator[Open]:
    """Makes lines by name, and closes them at the end."""
    lines: list[Line] = []

    def make(name: str, texts: list[Arrival], keep: int = 9) -> Line:
        lines.append(Line(tmp_path / name, tokenizer, texts, keep))
        return lines[-1]

    yield make
    for line in lines:
        line.close()


def text(number: int, partition: int = 0, *, is_poison: bool = False) -> Arrival:
    one = fakes.arrival(number, partition=partition)
    if not is_poison:
        return one
    document = msgspec.structs.replace(one.document, text=f"xq {number} zz " * 4, source="evil")
    return msgspec.structs.replace(one, document=document)


def is_poison(arrival: Arrival) -> bool:
    return arrival.document.source == "evil"


def raw(first: int, last: int, partition: int = 0) -> LeftOut:
    """Of the documents `first` to `last`, whose raw offsets are twice their numbers."""
    return LeftOut(partition=partition, first=2 * first, last=2 * last)


Steps = list[list[Arrival]]

WHOLE_STEPS: Steps = [
    [text(0), text(1)],
    [text(2), text(3)],
    [text(4, is_poison=True), text(5, is_poison=True)],
    [text(6, is_poison=True)],
    [text(7), text(8), text(9)],
    [text(10)],
]
MIDDLE_OF_STEPS: Steps = [
    [text(0), text(1), text(2)],
    [text(3), text(4, is_poison=True), text(5)],
    [text(6, is_poison=True), text(7)],
    [text(8), text(9, is_poison=True)],
    [text(10), text(11)],
]
PARTITIONS: Steps = [
    [text(0), text(0, 1), text(0, 2)],
    [text(1, is_poison=True), text(1, 1), text(1, 2)],
    [text(2), text(2, 1, is_poison=True), text(3, 1, is_poison=True)],
    [text(2, 2), text(4, 1)],
    [text(3), text(5, 1), text(3, 2)],
]


def run(line: Line, steps: Steps, *, rests: bool, checkpoints_after: tuple[int, ...] = ()) -> None:
    """Each step on new text that is still there, then rehearsal: to its end, or a single step."""
    for number, arrivals in enumerate(steps):
        if arrivals:
            line.learn(arrivals)
        if rests:
            line.rest()
        if number in checkpoints_after:
            line.checkpoint()


def without_poison(steps: Steps) -> Steps:
    return [[a for a in arrivals if not is_poison(a)] for arrivals in steps]


@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("checkpoints_after", [(), (0,), (0, 1, 3)])
@pytest.mark.parametrize("steps", [WHOLE_STEPS, MIDDLE_OF_STEPS, PARTITIONS])
def test_undone_text_leaves_the_bits_of_a_run_that_never_saw_it(
    open_line: Open, steps: Steps, checkpoints_after: tuple[int, ...], rests: bool
) -> None:
    texts = [arrival for arrivals in steps for arrival in arrivals]
    poisoned = open_line("poisoned", texts)
    run(poisoned, steps, rests=rests, checkpoints_after=checkpoints_after)
    clean = open_line("clean", texts)
    run(clean, without_poison(steps), rests=rests)
    assert poisoned.bits()["weights"] != clean.bits()["weights"]

    wanted = [
        LeftOut(partition=a.partition, first=a.raw_offset, last=a.raw_offset)
        for a in texts
        if is_poison(a)
    ]
    undone = poisoned.undo(*wanted)
    assert undone.bits() == clean.bits()
    recipe = fakes.RECIPE
    assert hash_of_published(undone.state, recipe) == hash_of_published(clean.state, recipe)

    # And so it goes on, and is the same once more after a restart.
    for line in (undone, clean):
        line.learn([text(20), text(20, 1)])
        line.rest()
    assert undone.bits() == clean.bits()
    undone.close()
    again = open_line("poisoned", [*texts, text(20), text(20, 1)])
    assert again.bits() == clean.bits()


@pytest.mark.parametrize("rests", [False, True])
def test_what_is_undone_twice_is_the_same_as_undone_at_once(open_line: Open, rests: bool) -> None:
    steps = [
        [text(0), text(1)],
        [text(2, is_poison=True), text(3)],
        [text(4), text(5, is_poison=True)],
        [text(6)],
    ]
    texts = [arrival for arrivals in steps for arrival in arrivals]
    line = open_line("line", texts)
    run(line, steps, rests=rests, checkpoints_after=(0, 1))
    once = line.undo(raw(5, 5))
    if rests:
        once.rest()
    twice = once.undo(raw(2, 2), run="ef56")
    assert twice.identity.ancestors == ("ab12", "cd34")
    clean = open_line("clean", texts)
    run(clean, without_poison(steps), rests=rests)
    assert twice.bits() == clean.bits()
    # The other way round, from before what the first one has changed.
    line = open_line("other", texts)
    run(line, steps, rests=rests, checkpoints_after=(0, 1))
    back = line.undo(raw(2, 2)).undo(raw(5, 5), run="ef56")
    assert back.bits() == clean.bits()
    assert back.state.left_out.ranges == [raw(2, 2), raw(5, 5)]


def test_a_source_is_undone_wherever_its_text_was_and_kept_apart_from_then_on(
    open_line: Open,
) -> None:
    texts = [arrival for arrivals in PARTITIONS for arrival in arrivals]
    line = open_line("line", texts)
    run(line, PARTITIONS, rests=True, checkpoints_after=(1,))
    everything = [LeftOut(partition=p, first=0, last=1 << 62, source="evil") for p in range(3)]
    plan = line.plan(everything)
    assert plan.left_out == [
        LeftOut(partition=0, first=2, last=2, source="evil"),
        LeftOut(partition=1, first=4, last=6, source="evil"),
    ]
    assert plan.num_documents == 3
    undone = line.undo(*everything)
    clean = open_line("clean", texts)
    run(clean, without_poison(PARTITIONS), rests=True)
    differs = {name for name, its in undone.bits().items() if clean.bits()[name] != its}
    assert differs == {"quarantine"}
    undone.learn([text(20, is_poison=True), text(21)])
    assert undone.state.quarantine.sources()["evil"].num_documents == 1


def test_all_of_the_text_undone_is_the_untouched_model(open_line: Open) -> None:
    texts = [text(i) for i in range(4)]
    line = open_line("line", texts)
    run(line, [texts[:2], texts[2:]], rests=True)
    undone = line.undo(raw(0, 3))
    assert undone.state.progress.step == 0
    assert undone.bits()["weights"] == open_line("untouched", texts).bits()["weights"]
    assert undone.state.progress.next_raw == {0: 7}


def test_a_repetition_of_what_was_undone_stays_out(open_line: Open) -> None:
    steps = [[text(0)], [text(1, is_poison=True)], [text(2)]]
    line = open_line("line", [arrival for arrivals in steps for arrival in arrivals])
    run(line, steps, rests=False)
    undone = line.undo(raw(1, 9))
    kept, gone = undone.state.left_out.part([text(5), text(10)])
    assert [a.raw_offset for a in kept] == [20]
    assert [a.raw_offset for a in gone] == [10]


def test_what_the_log_no_longer_reaches_back_to_is_refused_with_where_undoing_can_begin(
    open_line: Open,
) -> None:
    texts = [text(i) for i in range(6)]
    line = open_line("line", texts, keep=1)
    run(line, [[a] for a in texts], rests=False, checkpoints_after=(1, 2, 3))
    with pytest.raises(CheckpointError, match="can begin at raw offset 7 of partition 0"):
        line.plan([raw(2, 5)])
    with pytest.raises(CheckpointError, match="text of 's1' was learned before step 4"):
        line.plan([LeftOut(partition=0, first=0, last=1 << 62, source="s1")])
    plan = line.plan([raw(4, 5)])
    assert (plan.first_step, plan.base_step, plan.num_steps, plan.seconds) == (5, 4, 2, 0.02)


def test_what_was_never_learned_cannot_be_undone(open_line: Open) -> None:
    line = open_line("line", [text(0)])
    run(line, [[text(0)]], rests=False)
    with pytest.raises(InvalidValue, match="none of it was"):
        line.plan([raw(5, 9)])
