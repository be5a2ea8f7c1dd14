"""What is shown of the learner is computed from its series, and absent while they are."""

import pytest

from riverrun.cli.status_view import older_text
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


def test_versions_that_are_held_are_counted() -> None:
    gauge = "riverrun_learner_held_versions"
    status = learner_status(Samples(f"{SERIES}# TYPE {gauge} gauge\n{gauge} 3\n"))
    assert status is not None
    assert status.held_versions == 3


RETENTION = """
# TYPE riverrun_learner_retention_bits_per_byte gauge
riverrun_learner_retention_bits_per_byte{source="a",after="10",bucket="10"} 3
riverrun_learner_retention_bits_per_byte{source="a",after="10",bucket="9"} 2.5
riverrun_learner_retention_bits_per_byte{source="a",after="9",bucket="9"} 2
riverrun_learner_retention_bits_per_byte{source="a",after="11",bucket="9"} 2.25
riverrun_learner_retention_bits_per_byte{source="b",after="0",bucket="0"} 4
"""


def test_the_retention_matrix_is_shown_whole_and_in_short() -> None:
    status = learner_status(Samples(RETENTION))
    assert status is not None
    assert status.retention == {
        "a": {9: {9: 2.0}, 10: {9: 2.5, 10: 3.0}, 11: {9: 2.25}},
        "b": {0: {0: 4.0}},
    }
    assert list(status.retention["a"]) == [9, 10, 11], "in the order of time, not of letters"
    assert older_text(status) == "2.000 → 2.250 bits a byte, 1 stretch of time since each was new"
    new = learner_status(Samples(SERIES))
    assert new is not None
    assert older_text(new) is None
