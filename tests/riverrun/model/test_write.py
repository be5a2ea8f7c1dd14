"""The model's own writing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from riverrun.errors import InvalidValue
from riverrun.model.decoder import Decoder
from riverrun.model.files import load
from riverrun.model.write import LEAST_SHARED, sample, write, write_within

PROMPTS = [[72, 101, 108, 108, 111], [65], [1, 2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.fixture(scope="module")
def model(tiny_dir: Path) -> Decoder:
    model = load(tiny_dir)
    # Untrained, it would repeat its last token for ever; larger weights make it fickle.
    model.initialise(torch.Generator().manual_seed(1), std=0.2)
    return model


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_writes_the_same_texts(model: Decoder) -> None:
    options: dict[str, Any] = {"max_tokens": 12, "temperature": 0.9, "top_p": 0.95}
    one = write(model, PROMPTS, generator=seeded(5), **options)
    assert write(model, PROMPTS, generator=seeded(5), **options) == one
    assert write(model, PROMPTS, generator=seeded(6), **options) != one
    assert [len(text) for text in one] == [12, 12, 12]


@torch.no_grad()
def test_greedy_writing_is_the_argmax_of_the_full_forward(model: Decoder) -> None:
    for prompt, text in zip(
        PROMPTS, write(model, PROMPTS, max_tokens=6, temperature=0), strict=True
    ):
        ids = list(prompt)
        for _ in range(6):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        assert text == ids[len(prompt) :]


def test_a_prompt_alone_is_written_on_as_in_a_batch(model: Decoder) -> None:
    together = write(model, PROMPTS, max_tokens=8, temperature=0)
    alone = [write(model, [prompt], max_tokens=8, temperature=0)[0] for prompt in PROMPTS]
    assert together == alone


def test_a_common_beginning_is_run_once_and_changes_no_text(
    model: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = [(7 * i) % 250 for i in range(LEAST_SHARED)]
    prompts = [[*common, *prompt] for prompt in PROMPTS]
    openings = [[7], []]
    passes: list[int] = []
    hidden = model.hidden

    def counted(tokens_BT: torch.Tensor, **options: Any) -> torch.Tensor:
        passes.append(tokens_BT.numel())
        return hidden(tokens_BT, **options)

    monkeypatch.setattr(model, "hidden", counted)
    together = write(model, prompts, max_tokens=8, temperature=0, openings=openings)
    assert passes[:2] == [LEAST_SHARED, 3 * 9]
    alone = [
        text
        for prompt in prompts
        for text in write(model, [prompt], max_tokens=8, temperature=0, openings=openings)
    ]
    assert together == alone


def test_each_prompt_is_written_on_from_each_opening_as_if_it_stood_alone(model: Decoder) -> None:
    openings = [[7], [8, 9], []]
    together = write(model, PROMPTS, max_tokens=8, temperature=0, openings=openings)
    alone = []
    for prompt in PROMPTS:
        for opening in openings:
            rest = 8 - len(opening)
            [text] = write(model, [[*prompt, *opening]], max_tokens=rest, temperature=0)
            alone.append([*opening, *text])
    assert together == alone


def test_texts_that_end_early_leave_the_others_as_they_were(model: Decoder) -> None:
    """Rows are let go once half have ended; the rest must not notice."""
    prompts = [[i, i + 1] for i in range(20, 36)]
    free = write(model, prompts, max_tokens=24, temperature=0)
    stops = {token for text in free[:12] for token in text[2:4]}
    stopped = write(model, prompts, max_tokens=24, temperature=0, stop_ids=stops)
    for whole, cut in zip(free, stopped, strict=True):
        first = next((i for i, token in enumerate(whole) if token in stops), len(whole))
        assert cut == whole[:first]


def test_a_text_can_end_before_a_later_stop_token(model: Decoder) -> None:
    free = write(model, PROMPTS, max_tokens=10, temperature=0)
    stops = {free[0][2], free[0][5]}
    [text, *_] = write(model, PROMPTS, max_tokens=10, temperature=0, stop_ids=stops, num_stops=2)
    places = [i for i, token in enumerate(free[0]) if token in stops]
    assert text == free[0][: places[1]]


def test_a_text_ends_before_its_first_stop_token(model: Decoder) -> None:
    free = write(model, PROMPTS, max_tokens=10, temperature=0)
    stop = free[0][4]
    stopped = write(model, PROMPTS, max_tokens=10, temperature=0, stop_ids={stop})
    for whole, cut in zip(free, stopped, strict=True):
        assert cut == (whole[: whole.index(stop)] if stop in whole else whole)


def test_no_prompts_give_no_texts(model: Decoder) -> None:
    assert write(model, [], max_tokens=4) == []


def test_sampling_has_the_frequencies_of_the_softmax() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(20_000, 4)
    counts = sample(logits, 1.0, 1.0, seeded(1)).bincount(minlength=4) / 20_000
    # Three standard deviations of the largest are 0.011.
    torch.testing.assert_close(counts, logits[0].exp(), atol=0.012, rtol=0)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([0.05, 0.5, 0.15, 0.3]).log().expand(5_000, 4)
    drawn = sample(logits, 1.0, 0.75, seeded(1)).bincount(minlength=4) / 5_000
    expected = torch.tensor([0.0, 0.625, 0.0, 0.375])
    torch.testing.assert_close(drawn, expected, atol=0.022, rtol=0)
    assert set(sample(logits, 1.0, 1e-6, seeded(1)).tolist()) == {1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompts": [[1], []]}, "prompts"),
        ({"max_tokens": 0}, "max_tokens: 0 is not allowed; it takes 1 to 1022"),
        ({"max_tokens": 1023}, "max_tokens: 1023"),
        ({"temperature": -1.0}, "temperature: -1.0"),
        ({"temperature": float("nan")}, "temperature: nan"),
        ({"top_p": 0.0}, "top_p: 0.0 is not allowed; it takes more than 0, at most 1"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named(model: Decoder, changed: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"prompts": [[1, 2]], "max_tokens": 4, **changed}
    with pytest.raises(InvalidValue, match=message):
        write(model, **options)


def test_only_allowed_tokens_are_written_but_for_the_opening(model: Decoder) -> None:
    """And what each cost is told of the free choice."""
    may = torch.zeros(model.config.vocab_size, dtype=torch.bool)
    may[[65, 66, 67]] = True
    asked: list[tuple[int, int]] = []

    def allowed(number: int, written: Sequence[int]) -> torch.Tensor:
        asked.append((number, len(written)))
        return may

    openings = [[[7], []], [[8], []], [[9], []]]
    texts = write_within(model, PROMPTS, allowed, max_tokens=4, openings=openings, temperature=0)
    assert set(asked) == {(i, n) for i in range(6) for n in range(1 - i % 2, 4)}
    for i, (tokens, nats) in enumerate(texts):
        opening = openings[i // 2][i % 2]
        assert tokens[: len(opening)] == opening
        assert set(tokens[len(opening) :]) <= {65, 66, 67}
        ids = PROMPTS[i // 2] + tokens
        with torch.no_grad():
            logprobs = model(torch.tensor([ids]))[0].log_softmax(-1)
        first = len(PROMPTS[i // 2])
        expected = [-float(logprobs[first + n - 1, token]) for n, token in enumerate(tokens)]
        assert nats == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("openings", [[[[1]]], [[[1]], [[2]], []], [[[1]], [[2]], [[3], [4]]]])
def test_each_prompt_has_as_many_openings(model: Decoder, openings: list[list[list[int]]]) -> None:
    with pytest.raises(InvalidValue, match="as many for each of 3 prompts"):
        write_within(model, PROMPTS, None, max_tokens=4, openings=openings)
