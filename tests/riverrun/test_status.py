"""What is shown of the learner is computed from its series, and absent while they are."""

import pytest

from riverrun.scrape import Samples
from riverrun.status import learner_status

SERIES = """
# TYPE riverrun_learner_documents counter
riverrun_learner_documents_total{source="a"} 3
riverrun_learner_documents_total{source="b"} 5
# TYPE riverrun_learner_step_seconds histogram
riverrun_learner_step_seconds_bucket{kind="new",le="+Inf"} 4
riverrun_learner_step_seconds_count{kind="new"} 4
riverrun_learner_step_seconds_sum{kind="new"} 6
riverrun_learner_step_seconds_bucket{kind="rehearsal",le="+Inf"} 9
riverrun_learner_step_seconds_count{kind="rehearsal"} 9
riverrun_learner_step_seconds_sum{kind="rehearsal"} 14
"""


def test_a_document_costs_all_steps_over_the_documents_learned_from() -> None:
    status = learner_status(Samples(SERIES))
    assert status is not None
    assert status.documents == 8
    assert status.seconds_per_document == pytest.approx(20 / 8)


def test_before_the_first_document_there_is_no_cost() -> None:
    series = SERIES.replace(" 3\n", " 0\n").replace(" 5\n", " 0\n")
    for text in ("", series):
        status = learner_status(Samples(text))
        assert status is not None
        assert status.seconds_per_document is None


def test_each_source_in_quarantine_is_named_also_while_nothing_of_it_is_kept() -> None:
    gauge = "riverrun_learner_quarantine_waiting_documents"
    text = f'# TYPE {gauge} gauge\n{gauge}{{source="a"}} 0\n{gauge}{{source="b"}} 7\n'
    status = learner_status(Samples(SERIES + text))
    assert status is not None
    assert status.quarantine == {"a": 0, "b": 7}
