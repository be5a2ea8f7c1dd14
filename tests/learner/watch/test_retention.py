"""The matrix and its transfers on numbers worked by hand; measuring changes nothing."""

import math

import msgspec
import pytest
import torch
from prometheus_client import CollectorRegistry

from learner.framing import Framing
from learner.observe import observe_readings
from learner.watch.held_out import Cell, Held
from learner.watch.retention import choose, forgetting, mean_bits_per_byte, measure, note
from learner.watch.retention_matrix import RetentionMatrix, Table
from learner.watch.surprise import Surprise, wearing
from learner.watch.watchers import Watchers
from riverrun.metrics.learner_watches import WatchMetrics
from riverrun.settings import WatchSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.watch.test_held_out import documents, fed

RECIPE = msgspec.structs.replace(fakes.RECIPE, held_out_share=0.3, held_out_after=0)


def surprise(tokenizer: Tokenizer) -> Surprise:
    framing = Framing(tokenizer, RECIPE.framings, RECIPE.block_tokens)
    return Surprise(framing, RECIPE)


def three_tasks() -> Table:
    """Rows: after bucket 0, 1, 2. Columns: loss on 0, 1, 2."""
    table = Table()
    for now, row in enumerate([[2.0], [2.5, 3.0], [2.2, 2.8, 4.0]]):
        for bucket, bits in enumerate(row):
            table.record(now, bucket, 9.9)
            table.record(now, bucket, bits)
    table.first = {0: (8.0, 8.0), 1: (5.0, 6.0), 2: (4.5, 4.0)}
    return table


def test_transfers_are_those_of_the_definition() -> None:
    matrix = RetentionMatrix(tables={"a": three_tasks()})
    # 0: 2.0 - 2.2; 1: 3.0 - 2.8.
    assert matrix.tables["a"].backward() == pytest.approx([-0.2, 0.2])
    assert matrix.backward_transfer() == pytest.approx(0.0)
    assert matrix.forward_transfer() == pytest.approx((0.0 + 1.0 - 0.5) / 3)
    assert RetentionMatrix().backward_transfer() is None


def test_wider_buckets_merge_columns_by_mean_and_rows_by_the_later() -> None:
    table = three_tasks()
    table.widen(1)
    assert table.rows == {0: {0: 2.75}, 1: {0: 2.5, 1: 4.0}}
    assert (table.now, table.level) == (1, 1)
    assert table.first == {0: (8.0, 8.0), 1: (4.5, 4.0)}
    assert table.backward() == pytest.approx([0.25])
    table.keep_only({1})
    assert table.rows == {1: {1: 4.0}}


def test_forgetting_is_now_against_the_best_evaluation() -> None:
    cell = Cell(source="a", bucket=0, texts=[Held("x", 10), Held("y", 30)])
    told = []
    for nats in ([20.0, 60.0], [10.0, 50.0], [30.0, 45.0], [5.0, 40.0]):
        note(cell, nats)
        told.append(forgetting(cell) * 40 * math.log(2))
    assert told == pytest.approx([0, 0, 15, 0])


def test_a_text_that_joins_a_cell_changes_no_forgetting() -> None:
    cell = Cell(source="a", bucket=0, texts=[Held("x", 10)])
    note(cell, [10.0])
    note(cell, [12.0])
    before = forgetting(cell)
    cell.texts.append(Held("new", 10))
    assert forgetting(cell) == before
    note(cell, [12.0, 90.0])
    assert forgetting(cell) == pytest.approx(2 / math.log(2) / 20)


def test_measuring_is_the_loss_under_the_given_weights_and_leaves_the_model(
    tokenizer: Tokenizer,
) -> None:
    state, measuring = fakes.state(RECIPE), surprise(tokenizer)
    fed(state.held_out, documents(30, every_ms=2_000_000))
    cells = choose(state.held_out, measuring, 10_000)
    assert len(cells) == len(state.held_out.cells())
    before = fakes.bits(state)
    other = {n: p.detach() * 1.5 for n, p in state.model.named_parameters()}
    measured = measure(state.model, other, cells, state.held_out, measuring)
    assert fakes.bits(state) == before
    text = cells[0].texts[0].text
    tokens = torch.tensor([[256, *text.encode(), 256]])
    with torch.no_grad(), wearing(state.model, other):
        loss = torch.nn.functional.cross_entropy(state.model(tokens)[0, :-1], tokens[0, 1:])
    assert measured[0].nats[0] == pytest.approx(float(loss) * (len(text) + 1), rel=1e-5)
    mean = mean_bits_per_byte(measured)
    assert mean is not None
    assert min(m.bits_per_byte for m in measured) <= mean <= max(m.bits_per_byte for m in measured)
    assert mean_bits_per_byte([]) is None


def test_weights_come_back_whatever_happens(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    before = fakes.bits(state)
    zeros = {n: torch.zeros_like(p) for n, p in state.model.named_parameters()}
    with pytest.raises(ZeroDivisionError), wearing(state.model, zeros):
        raise ZeroDivisionError
    assert fakes.bits(state) == before


def test_a_budget_is_shared_by_new_and_old_and_all_get_their_turn(tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(RECIPE, held_out_share=0.5)
    state, measuring = fakes.state(recipe), surprise(tokenizer)
    fed(state.held_out, documents(40, every_ms=1_800_000))
    now = state.held_out.eras["a"].now
    turns = set()
    for step in range(1, 30):
        cells = choose(state.held_out, measuring, 60)
        assert cells[0].bucket == now or now not in state.held_out.buckets("a")
        cost = sum(measuring.num_tokens(h.text) for c in cells for h in c.texts)
        assert cost <= 60 or len(cells) == 1
        for cell in cells:
            cell.measured_at = step
            turns.add(cell.bucket)
    assert turns == set(state.held_out.buckets("a"))


def test_forgetting_shows_when_a_source_moves_on(tokenizer: Tokenizer) -> None:
    """Buckets of 'ab' text, then of 'xyz' text, without replay: the first are forgotten."""
    recipe = msgspec.structs.replace(
        fakes.RECIPE, held_out_share=0.2, held_out_after=0, held_out_bucket_s=1.0,
        replay_share=0.0, ema_decay=0.0, lr=1e-2, max_passes=1,
    )  # fmt: skip
    state = fakes.state(recipe)
    watchers = Watchers(
        state, Framing(tokenizer, recipe.framings, recipe.block_tokens), recipe,
        WatchSettings(evaluation_share=1.0, near_future_gap=0),
    )  # fmt: skip
    stepper = fakes.stepper(tokenizer, recipe, watches=[watchers])
    for i in range(80):
        text = f"{'ab ' * 12}{i}" if i < 40 else f"{'xyz ' * 9}{i}"
        arrival = fakes.arrival(i, text=text)
        document = msgspec.structs.replace(
            arrival.document, source="a", timestamp_ms=1000 * (i // 40)
        )
        report = stepper.step(state, [msgspec.structs.replace(arrival, document=document)])
        assert report is not None
    readings = watchers.readings()
    assert readings["forgetting"]["a"] > 1.0
    assert readings["backward_transfer"][""] < -1.0
    assert readings["held_out_bits_per_byte"]["a\x1fnewest"] < 2.0
    rows = watchers.retention.facts.matrix.tables["a"].rows
    assert set(rows) == {0, 1}
    told = {f"a\x1f{i}\x1f{j}": bits for i, row in rows.items() for j, bits in row.items()}
    assert readings["retention_bits_per_byte"] == told
    metrics = WatchMetrics(CollectorRegistry())
    observe_readings(metrics, readings)
    shown = metrics.retention_bits_per_byte.labels("a", "1", "0")
    assert shown._value.get() == rows[1][0]
