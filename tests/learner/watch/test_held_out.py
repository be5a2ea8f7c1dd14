"""Held-out text is never trained on, counted, bounded, and the same in every run."""

import msgspec
import numpy as np
import pytest

from learner.arrival import Arrival
from learner.watch.held_out import CELL_BYTES, MAX_BUCKETS, MAX_SOURCES, HeldOut, is_held_out
from riverrun.records import Document
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

RECIPE = msgspec.structs.replace(fakes.RECIPE, held_out_share=0.3, held_out_after=4)


def documents(
    num: int, *, source: str = "a", every_ms: int = 1000, start: int = 0
) -> list[Arrival]:
    return [
        Arrival(0, i, i, i, Document(text=f"text {source} {i}", source=source, timestamp_ms=t))
        for i, t in ((i, i * every_ms) for i in range(start, start + num))
    ]


def fed(held_out: HeldOut, arrivals: list[Arrival]) -> HeldOut:
    random = np.random.default_rng(0)
    for arrival in arrivals:
        held_out.keep(held_out.route([arrival]), random)
    return held_out


def test_the_share_is_what_was_asked_for() -> None:
    share = sum(is_held_out(f"document {i}", 0.01) for i in range(50_000)) / 50_000
    assert share == pytest.approx(0.01, abs=0.0015)


def test_the_first_documents_of_each_source_are_all_learned() -> None:
    held_out = HeldOut(0.5, 64, 3600)
    for source in ("a", "b"):
        routing = held_out.route(documents(64, source=source))
        assert routing.held_out == []
        held_out.keep(routing, np.random.default_rng(0))
    assert len(held_out.route(documents(100, start=64)).held_out) > 20


def test_routing_does_not_depend_on_how_documents_are_grouped() -> None:
    arrivals = documents(200)
    whole = HeldOut(0.3, 10, 3600).route(arrivals)
    held_out, aside = HeldOut(0.3, 10, 3600), []
    for start in range(0, 200, 7):
        routing = held_out.route(arrivals[start : start + 7])
        aside += routing.held_out
        held_out.keep(routing, np.random.default_rng(0))
    assert aside == whole.held_out


def test_a_step_learns_nothing_from_held_out_text_and_says_so(tokenizer: Tokenizer) -> None:
    state, stepper = fakes.state(RECIPE), fakes.stepper(tokenizer, RECIPE)
    arrivals = [fakes.arrival(i) for i in range(40)]
    report = stepper.step(state, arrivals)
    assert report is not None
    num_aside = report.num_held_out.total()
    assert num_aside == len(state.held_out) > 0
    assert report.num_documents.total() + num_aside == 40
    progress = state.progress
    assert (progress.num_documents, progress.num_held_out) == (40 - num_aside, num_aside)
    assert progress.marks == {0: 78}
    span = progress.pending[0]
    assert (span.num_documents, len(span.held_out)) == (40 - num_aside, num_aside)
    aside = {held.text for cell in state.held_out.cells() for held in cell.texts}
    assert {arrivals[offset // 2].document.text for offset in span.held_out} == aside
    assert aside.isdisjoint(due.text for due in state.rehearsal.documents())


def test_a_step_of_held_out_text_alone_counts_and_changes_no_weight(tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(RECIPE, held_out_after=0)
    text = next(t for i in range(100) if is_held_out(t := f"a text {i}", 0.3))
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    before = fakes.bits(state)
    report = stepper.step(state, [fakes.arrival(3, text=text)])
    assert report is not None
    assert (report.step, report.is_finite, report.num_tokens.total()) == (1, True, 0)
    after = fakes.bits(state)
    same = ("weights", "optimizer", "memory", "rehearsal", "average")
    assert all(after[name] == before[name] for name in same)
    assert (state.progress.step, state.progress.num_updates) == (1, 0)
    assert (state.progress.marks, state.progress.next_clean) == ({0: 6}, {0: 4})
    assert state.progress.pending[0].num_documents == 0
    assert report.metrics() == {"gradient_norm": 0.0, "rate": report.rate}


@pytest.mark.parametrize("every_ms", [1, 60_000, 10**9, -(10**9), 10**14])
def test_it_is_bounded_whatever_the_times_and_sizes(every_ms: int) -> None:
    held_out = fed(HeldOut(1.0, 0, 3600), documents(500, every_ms=every_ms))
    assert len(held_out.buckets("a")) <= MAX_BUCKETS
    assert held_out.num_bytes <= MAX_BUCKETS * CELL_BYTES
    assert all(cell.num_bytes <= CELL_BYTES for cell in held_out.cells())
    for source in range(2 * MAX_SOURCES):
        fed(held_out, documents(1, source=f"s{source}"))
    assert len(held_out.eras) == MAX_SOURCES


def test_wider_buckets_keep_time_in_order_and_lose_no_text_that_fits() -> None:
    held_out = fed(HeldOut(1.0, 0, 3600), documents(64, every_ms=3_600_000))
    assert len(held_out) == 64
    assert held_out.eras["a"].level == 3
    assert held_out.buckets("a") == list(range(8))
    for cell in held_out.cells():
        numbers = [int(held.text.rsplit(" ", 1)[1]) for held in cell.texts]
        assert sorted(numbers) == list(range(8 * cell.bucket, 8 * cell.bucket + 8))


def test_a_reservoir_holds_early_and_late_texts_alike() -> None:
    kept = []
    for seed in range(20):
        held_out, random = HeldOut(1.0, 0, 1e9), np.random.default_rng(seed)
        for arrival in documents(2000, every_ms=1):
            held_out.keep(held_out.route([arrival]), random)
        kept += [int(h.text.rsplit(" ", 1)[1]) for c in held_out.cells() for h in c.texts]
    assert np.mean(np.array(kept) < 1000) == pytest.approx(0.5, abs=0.05)


def test_changes_upon_a_whole_snapshot_give_the_part_again() -> None:
    held_out = fed(HeldOut(0.5, 3, 60), documents(100, every_ms=30_000))
    snapshots = [held_out.snapshot(whole=True)]
    for start in (100, 200):
        fed(held_out, documents(100, every_ms=30_000, start=start))
        snapshots.append(held_out.snapshot(whole=False))
    restored = HeldOut(0.5, 3, 60)
    restored.restore(snapshots)
    assert restored.snapshot(whole=True) == held_out.snapshot(whole=True)
    more = documents(50, every_ms=30_000, start=300)
    assert fed(restored, more).snapshot(whole=True) == fed(held_out, more).snapshot(whole=True)
