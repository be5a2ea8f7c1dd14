"""What cannot fit the context is refused by its bytes: nothing of it is encoded."""

from typing import Any

import pytest

from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from serving.requests.inputs import LONG_BYTES, input_of
from serving.requests.texts import MAX_BATCH_TOKENS, texts_to_embed, texts_to_score
from tests.serving.published import Published

CONTEXT_TOKENS = 256
LONG = "x" * 100_000


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts that any tokenizer encodes meanwhile."""
    texts: list[str] = []
    encode = Tokenizer.encode

    def encode_and_tell(tokenizer: Tokenizer, text: str) -> list[int]:
        texts.append(text)
        return encode(tokenizer, text)

    monkeypatch.setattr(Tokenizer, "encode", encode_and_tell)
    return texts


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GenerateRequest(prompt=LONG), "prompt"),
        (pb.ChatRequest(messages=[pb.Message(role="user", content=LONG)]), "messages"),
        # Many short ones, together too long.
        (
            pb.ChatRequest(messages=[pb.Message(role="user", content="x" * 100)] * 1000),
            "messages",
        ),
    ],
)
async def test_a_prompt_that_cannot_fit_is_refused_unencoded_as_one_that_did_not(
    published: Published, encoded: list[str], request_: Any, field: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await input_of(request_).encode(published.tokenizer, CONTEXT_TOKENS)
    assert not encoded
    assert refused.value.field == field
    assert refused.value.allowed == "at most 255 prompt tokens (context_tokens is 256)"
    at_least, number, *what = str(refused.value.value).rsplit(" ", 3)
    assert (at_least, what) == ("at least", ["prompt", "tokens"])
    assert int(number) >= len(LONG)


async def test_a_prompt_whose_tokens_are_wanted_for_themselves_is_encoded_whole(
    published: Published,
) -> None:
    asked = input_of(pb.CountTokensRequest(prompt=LONG))
    assert len(await asked.encode(published.tokenizer)) == len(LONG)


@pytest.mark.parametrize("num_tokens", [CONTEXT_TOKENS - 1, LONG_BYTES * 2])
async def test_a_prompt_is_refused_from_its_first_token_too_many(
    published: Published, num_tokens: int
) -> None:
    for length, fits in ((num_tokens, True), (num_tokens + 1, False)):
        asked = input_of(pb.GenerateRequest(prompt="x" * length))
        if fits:
            assert len(await asked.encode(published.tokenizer, num_tokens + 1)) == length
        else:
            with pytest.raises(InvalidValue, match=f"{length} prompt tokens"):
                await asked.encode(published.tokenizer, num_tokens + 1)


async def test_a_text_that_cannot_fit_is_refused_before_any_is_encoded_behind_it(
    published: Published, encoded: list[str]
) -> None:
    scored = [pb.ScoreInput(text="first"), pb.ScoreInput(context="c", text=LONG)]
    with pytest.raises(InvalidValue) as refused:
        await texts_to_score(
            pb.ScoreRequest(inputs=[*scored, *scored]), published.tokenizer, CONTEXT_TOKENS
        )
    assert (refused.value.field, encoded) == ("inputs[1]", ["first"])
    assert refused.value.value == f"at least {len(LONG) + 1} tokens"
    encoded.clear()
    with pytest.raises(InvalidValue) as refused:
        await texts_to_embed(
            pb.EmbedRequest(texts=["first", LONG, "last"]), published.tokenizer, CONTEXT_TOKENS
        )
    assert (refused.value.field, encoded) == ("texts[1]", ["first"])


async def test_a_batch_is_encoded_up_to_the_text_that_is_too_much(
    published: Published, encoded: list[str]
) -> None:
    some = "x" * (MAX_BATCH_TOKENS // 4)
    with pytest.raises(InvalidValue) as refused:
        await texts_to_embed(
            pb.EmbedRequest(texts=[some] * 9), published.tokenizer, MAX_BATCH_TOKENS
        )
    assert refused.value.field == "texts"
    assert refused.value.allowed == f"at most {MAX_BATCH_TOKENS} together"
    assert len(encoded) == 5
