"""A prompt that begins like another starts behind its beginning, and no answer can tell."""

import random

import pytest

from serving.prefixes import MIN_TOKENS, Prefixes
from tests.serving.published import Published
from tests.serving.stepped_engine import SteppedEngine
from tests.serving.test_lean_model import needs_int8

SYSTEM = "You are a river, and you answer every question about water. "


def reused(engine: SteppedEngine) -> float:
    (metric,) = engine.tally.metrics.prefix_tokens.collect()
    return sum(s.value for s in metric.samples if s.name.endswith("_total"))


@pytest.fixture
def engine(published: Published) -> SteppedEngine:
    engine = SteppedEngine(published)
    engine.offer(published.publish(1))
    return engine


def test_a_shared_beginning_is_run_once_and_answers_stay_the_same(
    published: Published, engine: SteppedEngine
) -> None:
    version = published.store.promoted()
    assert version is not None
    first = engine.submit(SYSTEM + "Why is it wet?")
    engine.finish()
    assert reused(engine) == 0
    questions = ("Why is it wet?", "Who?", "Where?", "Why now?")
    others = [engine.submit(SYSTEM + question) for question in questions[1:]]
    engine.finish()
    assert reused(engine) >= 3 * len(published.tokenizer.encode(SYSTEM))
    for sequence, question in zip([first, *others], questions, strict=True):
        assert engine.ids(sequence) == published.greedy_ids(version, SYSTEM + question, 12)


def test_the_beginning_of_an_answer_that_still_runs_is_shared(
    published: Published, engine: SteppedEngine
) -> None:
    version = published.store.promoted()
    assert version is not None
    running = engine.submit(SYSTEM + "Tell me all.", max_tokens=40)
    for _ in range(8):
        engine.engine.step()
    assert 0 < running.num_generated < 40
    late = engine.submit(SYSTEM + "And me.")
    engine.finish()
    assert late.num_reused == len(published.tokenizer.encode(SYSTEM))
    assert engine.ids(late) == published.greedy_ids(version, SYSTEM + "And me.", 12)
    assert engine.ids(running) == published.greedy_ids(version, SYSTEM + "Tell me all.", 40)


def test_nothing_is_shared_across_versions(published: Published, engine: SteppedEngine) -> None:
    engine.submit(SYSTEM)
    engine.finish()
    engine.offer(second := published.publish(2))
    sequence = engine.submit(SYSTEM)
    engine.finish()
    assert reused(engine) == sequence.num_reused == 0
    assert engine.ids(sequence) == published.greedy_ids(second, SYSTEM, 12)
    # The first version again: its id, not its slot, tells rows apart.
    third = engine.submit(SYSTEM)
    engine.finish()
    assert third.num_reused > 0
    assert engine.ids(third) == engine.ids(sequence)


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=needs_int8)])
def test_random_traffic_answers_the_same_with_reuse_and_without(
    published: Published, precision: str
) -> None:
    version = published.publish(1)
    answers = []
    for reuse in (True, False):
        engine = SteppedEngine(published, reuse_prefixes=reuse, precision=precision)
        engine.offer(version)
        numbers = random.Random(3)
        sequences = []
        for _ in range(25):
            begin = numbers.choice([SYSTEM, SYSTEM[:30], "another beginning, of some length. "])
            while engine.engine.num_rows + engine.engine.num_waiting >= 10:
                engine.engine.step()
            prompt = begin + numbers.choice(["", "a", "why?", "tell me more of it"])
            sequences.append(engine.submit(prompt, numbers.randint(1, 20)))
            for _ in range(numbers.randint(0, 4)):
                engine.engine.step()
        engine.finish()
        answers.append([engine.ids(sequence) for sequence in sequences])
        assert (reused(engine) > 0) == reuse
    assert answers[0] == answers[1]


def test_the_longest_beginning_is_found_and_a_dropped_row_never() -> None:
    prefixes = Prefixes()
    tokens = list(range(100))
    prefixes.hold(0, "v", tokens[:40])
    prefixes.hold(1, "v", [*tokens[:60], 7, 7])
    prefixes.hold(2, "other", tokens)
    assert prefixes.longest("v", tokens, 99) == (1, 60)
    assert prefixes.longest("v", tokens, 50) == (1, 50)
    assert prefixes.longest("v", tokens, MIN_TOKENS - 1) is None
    prefixes.drop(1)
    assert prefixes.longest("v", tokens, 99) == (0, 40)
    prefixes.drop(0)
    assert prefixes.longest("v", tokens, 99) is None
