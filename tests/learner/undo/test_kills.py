"""A kill between any two changes of files, and what was to be undone is undone all the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from learner.undo.intent import FILE, Intent, read_intent, write_intent
from riverrun.tokenizer import Tokenizer
from tests.learner.killing import killed
from tests.learner.undo.line import Line, begin_anew
from tests.learner.undo.test_identity import is_poison, raw, run, text, without_poison

STRIDE = 1 if "TEST_KILLS" in os.environ else 5
"""A fifth of the places, unless the full test is asked for."""

STEPS = [
    [text(0), text(1)],
    [text(2)],
    [text(3, is_poison=True), text(4)],
    [text(5)],
]
TEXTS = [arrival for arrivals in STEPS for arrival in arrivals]


def undoing(directory: Path, tokenizer: Tokenizer) -> Callable[[Callable[[], None]], None]:
    def work(count: Callable[[], None]) -> None:
        count()
        begin_anew(directory, tokenizer, TEXTS)

    return work


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_between_any_two_changes_of_files_undoes_all_the_same(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    poisoned = Line(tmp_path / "poisoned", tokenizer, TEXTS)
    run(poisoned, STEPS, rests=False, checkpoints_after=(0, 1, 3))
    plan = poisoned.plan([raw(3, 3)])
    intent = Intent(
        left_out=plan.left_out,
        first_step=plan.first_step,
        reason="",
        replaces="ab12",
        run="cd34",
    )
    write_intent(poisoned.directory, intent)
    poisoned.close()
    clean = Line(tmp_path / "clean", tokenizer, TEXTS)
    run(clean, without_poison(STEPS), rests=False)
    assert any(is_poison(one) for one in TEXTS)
    number, is_killed, phases = 0, True, set()
    while is_killed:
        number += STRIDE
        directory = tmp_path / str(number)
        shutil.copytree(poisoned.directory, directory)
        is_killed = killed(undoing(directory, tokenizer), number, str(directory))
        left = read_intent(directory)
        assert left is not None, "the intent stays until its version is announced"
        phases.add(left.phase)
        begin_anew(directory, tokenizer, TEXTS)
        undone = Line(directory, tokenizer, TEXTS)
        assert undone.identity.run == "cd34"
        assert undone.bits() == clean.bits()
        undone.close()
        assert (directory / FILE).exists()
        shutil.rmtree(directory)
    clean.close()
    assert phases == {"replay", "install", "installed"}
    assert number > 20, "as many changes as an undoing makes"
