"""The origin memory holds the model to what it said, and is the same when it is read again."""

import itertools
from pathlib import Path

import msgspec
import pytest
import torch

from learner import origin_fill
from learner.batch import build
from learner.framing import Example, Framing
from learner.losses import divergences, logits_at
from learner.origin import Origin, remember
from learner.origin_texts import beginnings, finished, origin_examples, texts_of
from learner.seeds import random_for
from riverrun.errors import CheckpointError, InvalidValue
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

EXAMPLES = [Example([1, 2, 3, 4], 1), Example([9, 8, 7, 6, 5], 2), Example([5, 5, 5], 1)]
RECIPE = msgspec.structs.replace(fakes.RECIPE, origin_top_k=260, origin_texts=4, replay_share=0.0)


def origin_of(num_kept: int) -> Origin:
    recipe = msgspec.structs.replace(RECIPE, origin_top_k=num_kept)
    origin = remember(fakes.model(), [], EXAMPLES, recipe)
    assert origin is not None
    return origin


def divergences_of(model_seed: int, num_kept: int) -> torch.Tensor:
    model = fakes.model()
    if model_seed:
        model.initialise(torch.Generator().manual_seed(model_seed))
    anchors = origin_of(num_kept).sample(3, 1.0, random_for(0, 0, "test"))
    batch = build([], [], anchors, 64, torch.device("cpu"))
    with torch.no_grad():
        _, logits_MV = logits_at(model, batch, anchored=True)
        return divergences(logits_MV, batch.top_ids_MK, batch.top_logprobs_MK)


def test_the_untouched_model_does_not_diverge_from_itself() -> None:
    for num_kept in (1, 8, 260):
        torch.testing.assert_close(divergences_of(0, num_kept), torch.zeros(8), atol=2e-5, rtol=0)


def test_with_all_tokens_kept_it_is_the_kullback_leibler_divergence() -> None:
    other = fakes.model()
    other.initialise(torch.Generator().manual_seed(5))
    expected = []
    with torch.no_grad():
        for example in EXAMPLES:
            tokens = torch.tensor([example.tokens])
            was, now = (m(tokens)[0, example.first_target - 1 : -1] for m in (fakes.model(), other))
            p, q = was.log_softmax(-1), now.log_softmax(-1)
            expected += (p.exp() * (p - q)).sum(-1).tolist()
    found = divergences_of(5, 260).tolist()
    torch.testing.assert_close(sorted(found), sorted(expected), rtol=1e-3, atol=1e-4)


def test_fewer_kept_tokens_give_a_lower_bound() -> None:
    bounds = [divergences_of(5, num_kept) for num_kept in (1, 16, 128, 260)]
    for lower, higher in itertools.pairwise(bounds):
        assert bool((lower <= higher + 1e-4).all())
    assert bool((bounds[0] >= -1e-5).all())


def test_anchoring_keeps_the_model_nearer_to_its_origin(tokenizer: Tokenizer) -> None:
    """The same text learned with and without: less divergence on the origin's texts."""
    found = []
    for weight in (0.0, 20.0):
        recipe = msgspec.structs.replace(
            RECIPE, strategy="replay+origin", origin_weight=weight, origin_per_step=3
        )
        state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe, origin_of(260))
        for i in range(12):
            report = stepper.step(state, [fakes.arrival(i)])
            assert report is not None
        found.append(report.origin_divergence)
    free, held = found
    assert free is not None
    assert held is not None
    assert held < free / 2


def test_anchors_cost_no_more_tokens_than_allowed_and_weigh_the_same() -> None:
    origin = origin_of(16)
    for step in range(20):
        random = random_for(0, step, "t")
        anchors = origin.sample(3, 2.0, random, max_tokens=8)
        assert anchors
        assert len(anchors) == 1 or sum(len(a.example.tokens) for a in anchors) <= 8
        assert sum(a.weight * a.example.num_targets for a in anchors) == pytest.approx(2.0)
    assert len(origin.sample(3, 2.0, random_for(0, 0, "t"), max_tokens=1)) == 1
    assert len(origin.sample(3, 2.0, random_for(0, 0, "t"), max_tokens=12)) == 3


def test_a_memory_is_written_once_for_a_model_its_files_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second data directory takes it from the cache; a damaged one is made again."""
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path / "cache"))
    tokenizer = fakes.tokenizer_in(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    framing = Framing(type(tokenizer)(tmp_path), ["plain"], 64)
    calls: list[int] = []

    def counted(*_: object) -> list[Example]:
        calls.append(1)
        return EXAMPLES

    monkeypatch.setattr(origin_fill, "origin_examples", counted)

    def filled(seed: int) -> Origin:
        origin = origin_fill.fill(fakes.model(), framing, RECIPE, seed)
        assert origin is not None
        return origin

    first = filled(0)
    assert filled(0).examples == first.examples
    assert len(calls) == 1
    filled(1)
    assert len(calls) == 2
    # Another template makes another prompt of the same beginning.
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}")
    filled(0)
    assert len(calls) == 3
    (tmp_path / "chat_template.jinja").unlink()
    for path in (tmp_path / "cache").rglob("origin.safetensors"):
        path.write_bytes(b"damaged")
    filled(0)
    filled(0)
    assert len(calls) == 4


def test_a_stopped_fill_leaves_nothing_in_the_cache(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path))
    framing = Framing(tokenizer, ["plain"], 64)
    monkeypatch.setattr(origin_fill, "origin_examples", lambda *_: EXAMPLES)
    assert origin_fill.fill(fakes.model(), framing, RECIPE, 0, lambda: True) is None
    assert not list(tmp_path.rglob("*.json"))


def test_an_origin_that_was_saved_is_the_same_when_loaded(tmp_path: Path) -> None:
    origin = origin_of(16)
    assert Origin.load(tmp_path) is None
    origin.save(tmp_path)
    loaded = Origin.load(tmp_path)
    assert loaded is not None
    assert loaded.examples == origin.examples
    for one, other in zip(
        origin.sample(3, 1.0, random_for(0, 0, "t")),
        loaded.sample(3, 1.0, random_for(0, 0, "t")),
        strict=True,
    ):
        assert torch.equal(one.top_ids_MK, other.top_ids_MK)
        assert torch.equal(one.top_logprobs_MK, other.top_logprobs_MK)


def test_a_damaged_origin_is_refused(tmp_path: Path) -> None:
    origin_of(16).save(tmp_path)
    path = tmp_path / "origin.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match="SHA-256"):
        Origin.load(tmp_path)


def test_the_model_writes_the_same_texts_for_the_same_seed(tmp_path: Path) -> None:
    """Without a chat template, where it need not finish a question first."""
    tokenizer = fakes.tokenizer_in(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    framing = Framing(type(tokenizer)(tmp_path), ["plain"], 64)
    written = [
        origin_examples(fakes.model(), framing, RECIPE, seed, lambda: False) for seed in (1, 1, 2)
    ]
    assert written[0] == written[1]
    assert written[0] != written[2]
    assert [len(examples) for examples in written] == [RECIPE.origin_texts] * 3


def test_half_of_what_a_model_says_in_conversations_is_prose() -> None:
    """By SmolLM2: nothing else holds its prose, while it learns questions."""
    files_of_it = locate("smollm2")
    framing = Framing(Tokenizer(files_of_it), ["plain"], 64)
    model = files.load(files_of_it, torch.float32, torch.device("cpu"))
    recipe = msgspec.structs.replace(RECIPE, origin_texts=8)
    examples = origin_examples(model, framing, recipe, 0, lambda: False)
    prose = [example for example in examples if not example.follows_prefix]
    assert len(examples) == 8
    assert len(prose) == 4
    assert all(example.tokens[0] == framing.end_id for example in prose)
    assert all(example.first_target == 1 for example in prose)


def test_a_model_that_finishes_no_question_has_an_empty_origin(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    framing = Framing(tokenizer, ["plain"], 64)
    examples = origin_examples(fakes.model(), framing, RECIPE, 0, lambda: False)
    origin = remember(fakes.model(), framing.prefix, examples, RECIPE)
    assert origin is not None
    assert origin.sample(3, 1.0, random_for(0, 0, "t")) == []
    origin.save(tmp_path)
    loaded = Origin.load(tmp_path)
    assert loaded is not None
    assert loaded.sample(3, 1.0, random_for(0, 0, "t")) == []


def test_a_question_ends_with_its_mark() -> None:
    assert finished("What is it? It is") == "What is it?"
    assert finished("What is\nit?") is None
    assert all(line.strip() == line != "" for line in beginnings())


def test_the_operators_file_is_plain_lines_or_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text('one\n\n{"text": "two"}\n')
    assert texts_of(path) == ["one", "two"]
    for content in ("", '{"words": "x"}', "{nonsense"):
        path.write_text(content)
        with pytest.raises(InvalidValue, match=r"learner\.origin_file"):
            texts_of(path)
    with pytest.raises(InvalidValue, match=r"learner\.origin_file"):
        texts_of(tmp_path / "absent")
