"""Scores, embeddings, logprobs, penalties and admission by tokens, through one engine."""

from typing import Any

import pytest
import torch

from riverrun.errors import Overloaded
from serving.sampling import Sampling, penalize, sample
from serving.sequence import FinishReason
from tests.serving.published import Published
from tests.serving.stepped_engine import SteppedEngine
from tests.serving.test_lean_model import needs_int8

TEXT = "the river runs to the sea and comes back as rain"


@pytest.fixture
def engine(published: Published) -> SteppedEngine:
    engine = SteppedEngine(published)
    engine.offer(published.publish(1))
    return engine


def full_logprobs(published: Published, text: str) -> tuple[list[int], torch.Tensor]:
    version = published.store.promoted()
    assert version is not None
    tokens = published.tokenizer.encode(text)
    with torch.inference_mode():
        return tokens, published.models[version](torch.tensor([tokens]))[0].log_softmax(-1)


@pytest.mark.parametrize("first_target", [1, 2, 17, 18, 40])
def test_scores_are_those_of_the_full_forward_whatever_was_run_before(
    published: Published, engine: SteppedEngine, first_target: int
) -> None:
    tokens, logprobs_TV = full_logprobs(published, TEXT)
    engine.submit("busy", max_tokens=30)
    engine.submit(TEXT, max_tokens=3)
    engine.engine.step()
    for _ in range(2):
        # The second one finds its beginning in a row.
        sequence = engine.ask("score", TEXT, first_target)
        engine.finish()
        delta = engine.last(sequence)
        assert delta.end is not None
        assert (delta.end.reason, delta.end.num_tokens) == (FinishReason.END, 0)
        assert delta.scores is not None
        assert [score.token for score in delta.scores] == tokens[first_target:]
        for i, score in enumerate(delta.scores, first_target - 1):
            assert abs(score.logprob - float(logprobs_TV[i, score.token])) < 1e-3
            assert score.is_likeliest == (int(logprobs_TV[i].argmax()) == score.token)
    assert (sequence.num_reused > 0) == (first_target > 16)


def test_an_embedding_is_the_direction_of_the_mean_hidden_state(
    published: Published, engine: SteppedEngine
) -> None:
    version = published.store.promoted()
    assert version is not None
    engine.submit(TEXT, max_tokens=20)
    engine.engine.step()
    sequence = engine.ask("embed", TEXT)
    engine.finish()
    tokens = torch.tensor([published.tokenizer.encode(TEXT)])
    right_D = published.models[version].hidden(tokens)[0].mean(0)
    found = engine.last(sequence).embedding
    assert found is not None
    torch.testing.assert_close(torch.tensor(found), right_D / right_D.norm(), atol=1e-4, rtol=1e-4)


def test_logprobs_are_one_a_token_of_the_models_own_distribution(
    published: Published, engine: SteppedEngine
) -> None:
    sampled = Sampling(temperature=1.5, top_k=20, repetition_penalty=1.3, seed=1)
    sequence = engine.submit(TEXT, 20, sampled, num_logprobs=3)
    plain = engine.submit("without", 20)
    alone = engine.submit("alone", 20, num_logprobs=0)
    engine.finish()
    found = [entry for delta in engine.deltas[sequence] for entry in delta.logprobs]
    assert [entry.token for entry in found] == engine.ids(sequence)
    assert all(len(d.logprobs) == d.num_tokens for d in engine.deltas[sequence] if not d.end)
    answer = engine.ids(sequence)
    version = published.store.promoted()
    assert version is not None
    prompt = published.tokenizer.encode(TEXT)
    with torch.inference_mode():
        full = published.models[version](torch.tensor([prompt + answer]))[0].log_softmax(-1)
    for i, entry in enumerate(found, len(prompt) - 1):
        assert abs(entry.logprob - float(full[i, entry.token])) < 1e-3
        assert [token for token, _ in entry.top] == full[i].topk(3).indices.tolist()
    assert not any(delta.logprobs for delta in engine.deltas[plain])
    assert all(not entry.top for delta in engine.deltas[alone] for entry in delta.logprobs)


def test_penalty_and_min_p_are_those_of_transformers() -> None:
    from transformers.generation import logits_process

    generator = torch.Generator().manual_seed(4)
    logits_V = torch.randn(200, generator=generator) * 3
    seen = [3, 5, 5, 190, 7]
    theirs = logits_process.RepetitionPenaltyLogitsProcessor(1.7)
    right_V = theirs(torch.tensor([seen]), logits_V[None].clone())[0]
    torch.testing.assert_close(penalize(logits_V, seen, 1.7), right_V)
    for min_p, temperature in ((0.05, 1.0), (0.3, 2.0), (1.0, 1.0)):
        warper: Any = logits_process.MinPLogitsWarper(min_p)
        kept = warper(None, logits_V[None] / temperature)[0]
        allowed = set(kept.isfinite().nonzero().flatten().tolist())
        drawn = {
            sample(logits_V, Sampling(temperature, min_p=min_p, top_k=top_k), i / 500)
            for i in range(500)
            for top_k in (None, 150)
        }
        assert drawn <= allowed
        assert len(drawn) > len(allowed) / 3


def test_a_penalty_keeps_a_greedy_answer_from_repeating(engine: SteppedEngine) -> None:
    penalized = engine.submit(TEXT, 60, Sampling(repetition_penalty=1e6))
    engine.finish()
    answer = engine.ids(penalized)
    assert len(set(answer)) == len(answer)


def test_more_tokens_than_may_be_open_are_refused_at_once_until_some_are_freed(
    published: Published,
) -> None:
    engine = SteppedEngine(published, max_waiting=100, max_waiting_tokens=300)
    engine.offer(published.publish(1))
    running = [engine.submit("a" * 28, max_tokens=100) for _ in range(4)]
    engine.engine.step()
    waiting = [engine.submit("b" * 50, max_tokens=50) for _ in range(3)]
    with pytest.raises(Overloaded, match=r"max_waiting_tokens"):
        engine.submit("c", max_tokens=1)
    engine.engine.cancel(waiting[1])
    engine.engine.step()
    engine.submit("c", max_tokens=1)
    engine.engine.cancel(running[0])
    engine.finish()
    # All is given back.
    for _ in range(3):
        engine.submit("d" * 28, max_tokens=100)
    engine.finish()
    assert engine.engine._admission.open_tokens == 0


@needs_int8
def test_int8_answers_are_the_same_alone_in_a_batch_and_across_a_swap(
    published: Published,
) -> None:
    first, second = published.publish(1), published.publish(2)
    prompts = [TEXT, "x" * 40, "hi", "to be or not to be"]
    seeded = Sampling(temperature=1.0, seed=5, repetition_penalty=1.1, min_p=0.01)

    def alone(version: str, prompt: str, sampling: Sampling) -> list[int]:
        engine = SteppedEngine(published, precision="int8", max_rows=1, prefill_tokens=64)
        engine.offer(version)
        sequence = engine.submit(prompt, 40, sampling)
        engine.finish()
        return engine.ids(sequence)

    engine = SteppedEngine(published, precision="int8", prefill_tokens=7)
    engine.offer(first)
    old = [
        engine.submit(prompt, 40, seeded if i == 2 else None) for i, prompt in enumerate(prompts)
    ]
    for _ in range(9):
        engine.engine.step()
    engine.offer(second)
    new = [
        engine.submit(prompt, 40, seeded if i == 2 else None) for i, prompt in enumerate(prompts)
    ]
    engine.finish()
    for version, sequences in ((first, old), (second, new)):
        for i, (prompt, sequence) in enumerate(zip(prompts, sequences, strict=True)):
            sampling = seeded if i == 2 else Sampling()
            assert engine.ids(sequence) == alone(version, prompt, sampling), (version, prompt)
