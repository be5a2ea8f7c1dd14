"""The engine's laws, step by step, at the level of tokens."""

import random

import pytest
import torch

from riverrun.errors import ModelError, Overloaded
from serving.cache import row_bytes
from serving.sampling import Sampling
from serving.sequence import FinishReason
from tests.serving.published import CONFIG, Published
from tests.serving.stepped_engine import SteppedEngine

PROMPTS = ("a", "the river runs", "x" * 40, "ünïcödé 漢字", "to be or not to be, that is it")


@pytest.fixture
def engine(published: Published) -> SteppedEngine:
    engine = SteppedEngine(published)
    engine.offer(published.publish(1))
    return engine


def live_version(engine: SteppedEngine) -> str:
    assert engine.slots.live is not None
    return engine.slots.live.version


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_alone_equals_the_full_forward_token_by_token(
    published: Published, engine: SteppedEngine, prompt: str
) -> None:
    sequence = engine.submit(prompt, max_tokens=30)
    engine.finish()
    assert engine.ids(sequence) == published.greedy_ids(live_version(engine), prompt, 30)
    assert engine.text(sequence) == published.greedy(live_version(engine), prompt, 30)


def test_greedy_in_a_batch_equals_greedy_alone_whenever_rows_come_and_go(
    published: Published, engine: SteppedEngine
) -> None:
    generator = random.Random(7)
    requests = [(generator.choice(PROMPTS) + str(i), generator.randint(1, 40)) for i in range(20)]
    sequences = []
    for i, (prompt, max_tokens) in enumerate(requests):
        # Twelve may be open at once; later ones come while earlier ones are under way.
        while engine.engine.num_rows + engine.engine.num_waiting >= 12:
            engine.engine.step()
        sequences.append(engine.submit(prompt, max_tokens))
        if i % 3 == 0:
            engine.engine.step()
    engine.finish()
    version = live_version(engine)
    for sequence, (prompt, max_tokens) in zip(sequences, requests, strict=True):
        assert engine.ids(sequence) == published.greedy_ids(version, prompt, max_tokens), prompt


def test_a_sequence_keeps_its_version_across_swaps_and_new_ones_take_the_new_one(
    published: Published, engine: SteppedEngine
) -> None:
    old = engine.submit(PROMPTS[1], max_tokens=40)
    for _ in range(5):
        engine.engine.step()
    first = live_version(engine)
    engine.offer(second := published.publish(2))
    new = engine.submit(PROMPTS[1], max_tokens=40)
    for _ in range(5):
        engine.engine.step()
    # Rows of both versions run side by side in one cache.
    assert {s.slot.manifest.version for s in (old, new) if s.slot and s.slot.manifest} == {
        first,
        second,
    }
    engine.offer(third := published.publish(3))
    newest = engine.submit(PROMPTS[1], max_tokens=40)
    engine.finish()
    for sequence, version in ((old, first), (new, second), (newest, third)):
        end = engine.last(sequence).end
        assert end is not None
        assert end.manifest.version == version
        assert engine.ids(sequence) == published.greedy_ids(version, PROMPTS[1], 40)


def test_a_slot_that_answers_is_never_staged(published: Published, engine: SteppedEngine) -> None:
    sequences = [engine.submit("first", max_tokens=60)]
    engine.engine.step()
    for step in (2, 3):
        engine.offer(published.publish(step))
        sequences.append(engine.submit("next", max_tokens=60))
        engine.engine.step()
    # Live, previous and the one before are all in use.
    assert engine.slots.stage(0.0) is None
    engine.engine.cancel(sequences[0])
    engine.engine.step()
    assert engine.slots.stage(0.0) is sequences[0].slot


def test_cancellation_frees_the_row_before_the_next_step(
    published: Published, engine: SteppedEngine
) -> None:
    running = [engine.submit(f"long {i}", max_tokens=90) for i in range(4)]
    waiting = engine.submit("short", max_tokens=5)
    engine.engine.step()
    assert (engine.engine.num_rows, engine.engine.num_waiting) == (4, 1)
    freed_row, generated = running[2].row, running[2].num_generated
    engine.engine.cancel(running[2])
    engine.engine.step()
    assert waiting.row == freed_row
    assert running[2].num_generated == generated
    assert (engine.engine.num_rows, engine.engine.num_waiting) == (4, 0)
    engine.finish()
    version = live_version(engine)
    assert engine.ids(waiting) == published.greedy_ids(version, "short", 5)
    assert engine.ids(running[3]) == published.greedy_ids(version, "long 3", 90)


def test_a_cancelled_request_that_waits_never_runs(engine: SteppedEngine) -> None:
    running = [engine.submit(f"long {i}", max_tokens=20) for i in range(4)]
    waiting = engine.submit("never", max_tokens=5)
    engine.engine.step()
    engine.engine.cancel(waiting)
    engine.finish()
    assert waiting.row is None
    assert not engine.deltas[waiting]
    assert all(engine.last(sequence).end for sequence in running)


def test_every_wait_for_a_row_is_counted_however_it_ends(engine: SteppedEngine) -> None:
    def num_waits() -> float:
        (metric,) = engine.tally.metrics.queue_seconds.collect()
        return next(one.value for one in metric.samples if one.name.endswith("_count"))

    for i in range(2):
        engine.submit(f"long {i}", max_tokens=20)
    engine.ask("score", "a text")
    engine.ask("embed", "another")
    engine.engine.step()
    assert num_waits() == 4
    cancelled, waiting = engine.submit("never"), engine.submit("later")
    engine.engine.cancel(cancelled)
    engine.engine.step()
    engine.finish()
    assert cancelled.row is None
    assert waiting.row is not None
    assert num_waits() == 6
    # Who had a row has waited already.
    running = engine.submit("cut")
    engine.engine.step()
    engine.engine.cancel(running)
    engine.engine.step()
    assert num_waits() == 7


def test_more_requests_than_may_be_open_are_refused_until_one_ends(
    engine: SteppedEngine,
) -> None:
    sequences = [engine.submit(f"p{i}", max_tokens=50) for i in range(12)]
    with pytest.raises(Overloaded) as refused:
        engine.submit("one too many")
    assert refused.value.retry_after_s > 0
    engine.engine.cancel(sequences[0])
    engine.engine.step()
    engine.submit("room again")


def test_a_long_prompt_delays_nobody_by_more_than_one_chunk(engine: SteppedEngine) -> None:
    short = engine.submit("hi", max_tokens=60)
    engine.engine.step()
    long = engine.submit("z" * 100, max_tokens=2)
    steps = 0
    while long.num_generated == 0:
        generated, cached = short.num_generated, long.num_cached
        engine.engine.step()
        steps += 1
        assert short.num_generated == generated + 1
        assert long.num_cached - cached <= 16
    assert steps == 7


def test_short_prompts_share_a_prefill_pass(engine: SteppedEngine) -> None:
    sequences = [engine.submit(prompt) for prompt in ("abcd", "efg", "hijk", "lm")]
    engine.engine.step()
    # Padded to four tokens each: exactly the 16 that a pass may have.
    assert [sequence.num_generated for sequence in sequences] == [1, 1, 1, 1]


def test_the_answer_ends_before_a_stop_string_that_tokens_cut(
    published: Published, engine: SteppedEngine
) -> None:
    engine.submit("warm")
    engine.finish()
    whole = published.greedy(live_version(engine), PROMPTS[1], 60)
    place = next(i for i in range(5, 50) if "\ufffd" not in whole[i : i + 2])
    stop = whole[place : place + 2]
    sequence = engine.submit(PROMPTS[1], max_tokens=60, stops=("never there", stop))
    engine.finish()
    end = engine.last(sequence).end
    assert end is not None
    assert end.reason is FinishReason.STOP
    assert engine.text(sequence) == whole[: whole.index(stop)]


def test_chunks_and_the_end_agree_on_the_number_of_tokens(engine: SteppedEngine) -> None:
    sequences = [engine.submit(prompt, max_tokens=n) for n, prompt in enumerate(PROMPTS, 1)]
    engine.finish()
    for sequence in sequences:
        end = engine.last(sequence).end
        assert end is not None
        assert end.num_tokens == sum(delta.num_tokens for delta in engine.deltas[sequence])
        assert end.num_tokens == len(engine.ids(sequence)) <= sequence.max_tokens
        assert end.num_prompt_tokens == len(sequence.tokens) - end.num_tokens


def test_a_seeded_answer_does_not_depend_on_its_neighbours(engine: SteppedEngine) -> None:
    sampling = Sampling(temperature=1.0, top_k=50, top_p=0.95, seed=3)
    alone = engine.submit("seeded", 30, sampling)
    engine.finish()
    others = [engine.submit(f"other {i}", 25, Sampling(temperature=2.0)) for i in range(3)]
    among = engine.submit("seeded", 30, sampling)
    engine.finish()
    assert others
    assert engine.ids(among) == engine.ids(alone)
    other_seed = engine.submit("seeded", 30, Sampling(temperature=1.0, seed=4))
    engine.finish()
    assert engine.ids(other_seed) != engine.ids(alone)


def test_logits_that_are_not_finite_fail_their_answer_and_nobody_else(
    published: Published, engine: SteppedEngine
) -> None:
    engine.submit("warm")
    engine.finish()
    version = live_version(engine)
    exploding = published.model(9)
    exploding.get_parameter("model.layers.0.mlp.down_proj.weight").fill_(3e38)
    engine.offer(published.publish(9, decoder=exploding))
    failing = engine.submit("fails", max_tokens=8)
    engine.finish()
    assert isinstance(engine.last(failing).error, ModelError)
    assert engine.tally.failed == 1
    # The row that held infinities serves the next answer as if nothing had been.
    engine.offer(published.publish(1))
    after = [engine.submit(f"after {i}", max_tokens=8) for i in range(4)]
    engine.finish()
    for i, sequence in enumerate(after):
        assert engine.ids(sequence) == published.greedy_ids(version, f"after {i}", 8)


def test_the_cache_takes_the_memory_that_it_states(engine: SteppedEngine) -> None:
    cache = engine.engine.cache
    cells = 4 * 128
    assert cache.num_bytes == cells * 2 * 2 * 2 * 8 * torch.float32.itemsize
    assert cache.num_bytes == 4 * row_bytes(CONFIG, 128)
