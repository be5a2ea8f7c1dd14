"""A step is a function of state, documents and seed; it tests before it trains."""

import math

import msgspec
import pytest
import torch

from learner.recipe import Recipe
from learner.state import State
from learner.step_report import StepReport
from riverrun.records import Span
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE


def run(tokenizer: Tokenizer, recipe: Recipe = RECIPE, num_steps: int = 8) -> State:
    """New text in every other step, rehearsal in between."""
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    for i in range(num_steps):
        is_new = i % 2 == 0 or not len(state.rehearsal)
        assert stepper.step(state, [fakes.arrival(i)] if is_new else []) is not None
    return state


def one_step(
    tokenizer: Tokenizer, state: State, *texts: str, recipe: Recipe = RECIPE
) -> StepReport:
    arrivals = [fakes.arrival(i, text=text) for i, text in enumerate(texts)]
    report = fakes.stepper(tokenizer, recipe).step(state, arrivals)
    assert report is not None
    return report


def test_the_same_steps_from_the_same_state_give_the_same_bits(tokenizer: Tokenizer) -> None:
    assert fakes.bits(run(tokenizer)) == fakes.bits(run(tokenizer))


def test_another_seed_or_document_gives_other_bits(tokenizer: Tokenizer) -> None:
    state, other = fakes.state(), fakes.state()
    one_step(tokenizer, state, "one text")
    one_step(tokenizer, other, "one test")
    assert fakes.bits(state) != fakes.bits(other)


def test_documents_are_learned_in_one_order_however_they_came(tokenizer: Tokenizer) -> None:
    arrivals = [fakes.arrival(i, partition=p) for i in range(3) for p in range(2)]
    state, other = fakes.state(), fakes.state()
    fakes.stepper(tokenizer).step(state, arrivals)
    fakes.stepper(tokenizer).step(other, arrivals[::-1])
    assert fakes.bits(state) == fakes.bits(other)


def test_prequential_loss_is_the_loss_before_learning(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    text = "the river"
    end = 256
    tokens = torch.tensor([[end, *text.encode(), end]])
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(state.model(tokens)[0, :-1], tokens[0, 1:])
    report = one_step(tokenizer, state, text)
    assert report.prequential_loss == pytest.approx(float(expected), rel=1e-5)
    num_bytes, num_targets = len(text), len(text) + 1
    bits = float(expected) * num_targets / math.log(2) / num_bytes
    assert report.bits_per_byte == pytest.approx(bits, rel=1e-5)


def test_a_repeated_document_becomes_known(tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(RECIPE, max_passes=200, ema_decay=0.0, lr=1e-2)
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    first = stepper.step(state, [fakes.arrival(0)])
    assert first is not None
    for _ in range(200):
        if not len(state.rehearsal):
            break
        last = stepper.step(state, [])
        assert last is not None
    assert last.retired == {"known": 1}
    assert last.loss < recipe.target_loss < first.loss


def test_steps_count_what_they_learned(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    arrivals = [fakes.arrival(i, partition=p) for p in (0, 2) for i in (3, 4, 5)]
    report = fakes.stepper(tokenizer).step(state, arrivals)
    assert report is not None
    assert state.progress.marks == {0: 10, 2: 10}
    assert state.progress.next_clean == {0: 6, 2: 6}
    assert state.progress.next_raw == {0: 11, 2: 11}
    assert state.progress.num_documents == 6
    assert state.progress.newest_ms == 1005
    assert state.progress.pending == [
        Span(
            step=1,
            partition=p,
            raw_first=6,
            raw_last=10,
            clean_first=3,
            clean_last=5,
            num_documents=3,
        )
        for p in (0, 2)
    ]
    assert report.num_documents == {"s0": 2, "s1": 4}


def test_rehearsal_learns_nothing_new(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    one_step(tokenizer, state, "some text")
    before = msgspec.json.decode(msgspec.json.encode(state.progress), type=type(state.progress))
    held = state.memory.num_held
    report = fakes.stepper(tokenizer).step(state, [])
    assert report is not None
    assert report.work == "rehearsal"
    assert report.prequential_loss is None
    after = state.progress
    assert (after.marks, after.num_documents, after.pending) == (
        before.marks,
        before.num_documents,
        before.pending,
    )
    assert state.memory.num_held == held


def test_a_step_that_is_stopped_leaves_the_state_as_it_was(tokenizer: Tokenizer) -> None:
    state = run(tokenizer, num_steps=4)
    before = fakes.bits(state)
    looks = iter([False, True])
    recipe = msgspec.structs.replace(RECIPE, chunk_tokens=8)
    stepper = fakes.stepper(tokenizer, recipe)
    arrivals = [fakes.arrival(i) for i in (10, 11)]
    assert stepper.step(state, arrivals, is_stopping=lambda: next(looks)) is None
    assert fakes.bits(state) == before
    undisturbed = run(tokenizer, num_steps=4)
    for one in (state, undisturbed):
        fakes.stepper(tokenizer).step(one, arrivals)
    assert fakes.bits(state) == fakes.bits(undisturbed)


def test_a_loss_that_is_not_finite_changes_no_weight(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    one_step(tokenizer, state, "good text")
    with torch.no_grad():
        state.model.model.norm.weight[0] = float("nan")
    before = fakes.bits(state)
    report = fakes.stepper(tokenizer).step(state, [fakes.arrival(5)])
    assert report is not None
    assert not report.is_finite
    after = fakes.bits(state)
    unchanged = ("weights.", "moments.", "average.")
    assert all(after[n] == before[n] for n in after if n.startswith(unchanged))
    assert state.progress.marks == {0: 10}
    assert all(math.isfinite(value) for value in report.metrics().values())


def test_a_step_in_chunks_has_the_gradient_of_the_whole(tokenizer: Tokenizer) -> None:
    texts = ["one", "two two two", "a longer text than the others", "4"]
    norms = []
    for chunk_tokens in (8, 1000):
        recipe = msgspec.structs.replace(RECIPE, chunk_tokens=chunk_tokens)
        norms.append(one_step(tokenizer, fakes.state(recipe), *texts, recipe=recipe).gradient_norm)
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_documents_may_count_the_same_whatever_their_length(tokenizer: Tokenizer) -> None:
    """By documents, one text twice weighs as much as two; by tokens, a long one outweighs all."""
    recipe = msgspec.structs.replace(RECIPE, weighting="examples", replay_share=0.0)
    short, long = "ab", "the river runs to the sea"
    alone = [one_step(tokenizer, fakes.state(recipe), t, recipe=recipe) for t in (short, long)]
    state = fakes.state(recipe)
    together = one_step(tokenizer, state, short, long, recipe=recipe)
    counts = [len(short) + 1, len(long) + 1]
    nats = sum(one.loss * count for one, count in zip(alone, counts, strict=True))
    assert together.loss == pytest.approx(nats / sum(counts), rel=1e-5)
    by_tokens = msgspec.structs.replace(recipe, weighting="tokens")
    other = one_step(tokenizer, fakes.state(by_tokens), short, long, recipe=by_tokens)
    assert together.gradient_norm != pytest.approx(other.gradient_norm, rel=1e-3)


def test_replay_takes_its_share_and_finetune_takes_none(tokenizer: Tokenizer) -> None:
    for strategy, expected in (("replay", 2), ("finetune", 0)):
        recipe = msgspec.structs.replace(RECIPE, strategy=strategy, replay_share=0.5)
        state = fakes.state(recipe)
        one_step(tokenizer, state, "ab", "cd", "ef", recipe=recipe)
        report = one_step(tokenizer, state, "gh", "ij", recipe=recipe)
        assert report.num_tokens == {"new": 6, "memory": 3 * expected, "origin": 0}


def test_rehearsal_replays_by_how_much_of_all_that_was_learned_is_still_due(
    tokenizer: Tokenizer,
) -> None:
    """All of it: nothing beside it, in a step as large as any. Half of it: half of the share."""
    recipe = msgspec.structs.replace(
        RECIPE, replay_share=0.5, max_step_tokens=12, rehearsal_documents=32, target_loss=0.0
    )
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    texts = [f"{i:02}" for i in range(12)]
    one_step(tokenizer, state, *texts, recipe=recipe)
    size = 3  # predicted tokens of a document; it has one token more
    report = stepper.step(state, [])
    assert report is not None
    assert report.num_tokens == {"rehearsal": 6 * size, "memory": 0, "origin": 0}
    for due in state.rehearsal.documents()[6:]:
        state.rehearsal.drop(due.number)
    report = stepper.step(state, [])
    assert report is not None
    # Half is due: a quarter of the step is replayed, so 18 of 24 tokens are due documents.
    assert report.num_tokens == {"rehearsal": 4 * size, "memory": 1 * size, "origin": 0}


def test_embeddings_that_do_not_learn_stay_bit_for_bit(tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(RECIPE, trains_embeddings=False)
    state = fakes.state(recipe)
    one_step(tokenizer, state, "some text", recipe=recipe)
    before, after = dict(fakes.model().named_parameters()), dict(state.model.named_parameters())
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"model.embed_tokens.weight"}
