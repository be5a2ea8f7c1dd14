"""What cannot be undone is said to be, and nothing is promoted meanwhile."""

from pathlib import Path

from learner.control.standing import give_up, read_standing
from learner.guard import unguarded
from learner.undo.intent import Intent, read_intent, write_intent
from riverrun.records import LeftOut


def test_an_undoing_that_is_given_up_is_refused_and_promotion_is_held(tmp_path: Path) -> None:
    intent = Intent(
        left_out=[LeftOut(partition=0, first=3, last=4)],
        first_step=2,
        reason="poison",
        replaces="ab12",
        subject="raw 0:3-4",
        command="c1",
    )
    write_intent(tmp_path, intent)
    assert read_intent(tmp_path) == intent
    give_up(tmp_path, intent, "ab12-000001-00000000", "the text has expired", unguarded)
    standing = read_standing(tmp_path)
    [answer] = standing.answers
    assert (answer.kind, answer.command) == ("refused", "c1")
    assert "the text has expired" in answer.reason
    assert standing.is_held
    assert read_intent(tmp_path) is None
