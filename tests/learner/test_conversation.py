"""Of a conversation the assistant's answers are learned, each token once, and nothing else."""

import math

import msgspec
import pytest
import torch

from learner.arrival import Arrival
from learner.batch import Text, build
from learner.content import shortened, told
from learner.conversation import context
from learner.framing import Example, Framing, cut_answer, end_of_text
from learner.intake import arrival_of
from learner.seeds import random_for
from learner.state import State
from learner.watch.held_out import CELL_BYTES, HeldOut, is_held_out
from learner.watch.surprise import Surprise
from riverrun.model.zoo import located
from riverrun.records import Document, Message, encode, text_of
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE

RANDOM = random_for(0, 0, "test")

ASKED = (Message("user", "Where does it rain?"), Message("assistant", "In Bergen."))
LONG = (
    Message("system", "Be short."),
    Message("user", "Who?"),
    Message("assistant", "Ada."),
    Message("user", "Where?"),
    Message("assistant", "London, <|im_end|> or so."),
)


def conversation(number: int, messages: tuple[Message, ...]) -> Arrival:
    document = Document(text=text_of(messages), source="qa", timestamp_ms=number, messages=messages)
    return Arrival(0, number, 2 * number, 1000 + number, document)


def targets(example: Example) -> list[int]:
    return example.tokens[example.first_target :]


def of(tokenizer: Tokenizer, messages: tuple[Message, ...], block: int = 512) -> list[Example]:
    return Framing(tokenizer, ["plain", "study"], block).examples(messages, 1, RANDOM)


@pytest.fixture(scope="module")
def smollm2() -> Tokenizer:
    directory = located("smollm2")
    if directory is None:
        pytest.skip("SmolLM2 is not on this machine: `riverrun model fetch smollm2`")
    return Tokenizer(directory)


def test_smollm2_learns_exactly_the_answers_tokens_and_the_end_of_the_turn(
    smollm2: Tokenizer,
) -> None:
    """Rendered by its own template and marked in that text, as an oracle of our two ids."""
    first, second = of(smollm2, LONG)
    framing = Framing(smollm2, ["plain"], 512)
    for example, last, answer in ((first, 2, "Ada."), (second, 4, LONG[4].content)):
        whole = smollm2.chat([msgspec.to_builtins(m) for m in LONG[: last + 1]], False)
        shown = [*framing.prefix, *example.tokens] if example.follows_prefix else example.tokens
        assert shown == whole[: len(shown)], "the template's own tokens, nothing between"
        assert smollm2.decode(whole[len(shown) :], keep_special=True) == "\n"
        assert smollm2.decode(targets(example)[:-1]) == answer
        assert smollm2.token_bytes(targets(example)[-1]) == b"<|im_end|>"
        opening = smollm2.decode(shown[: -len(targets(example))], keep_special=True)
        assert opening.endswith("<|im_start|>assistant\n")


def test_a_question_of_smollm2_follows_its_usual_beginning(smollm2: Tokenizer) -> None:
    [example] = of(smollm2, ASKED)
    assert example.follows_prefix, "the system's default text is shared, not repeated"
    assert smollm2.decode(targets(example)) == "In Bergen."


def test_every_answer_is_learned_after_all_that_came_before(tokenizer: Tokenizer) -> None:
    first, second = of(tokenizer, LONG)
    assert bytes(targets(first)[:-1]) == b"Ada."
    assert bytes(targets(second)[:-1]) == LONG[4].content.encode(), "markup in it stays text"
    assert b"Ada." in bytes(t for t in second.tokens[: second.first_target] if t < 256)


def test_a_greeting_that_answers_nothing_is_not_learned(tokenizer: Tokenizer) -> None:
    [example] = of(tokenizer, (Message("assistant", "Hello!"), *ASKED))
    assert bytes(targets(example)[:-1]) == b"In Bergen."


@pytest.mark.parametrize("reason", ["no template", "refused"])
def test_without_a_template_there_is_the_plain_form(
    reason: str, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riverrun.errors import InvalidValue

    framing = Framing(tokenizer, ["plain"], 512)
    if reason == "no template":
        monkeypatch.setattr(tokenizer, "_template", None)
    else:

        def refuse(*_: object) -> list[int]:
            raise InvalidValue("messages (roles)", ["system"], "no system's text")

        monkeypatch.setattr(tokenizer, "chat", refuse)
    _, second = framing.examples(LONG, 0, RANDOM)
    end = end_of_text(tokenizer)
    asked = b"Be short.\n\nQuestion: Who?\nAnswer: Ada.\nQuestion: Where?\nAnswer:"
    assert second.tokens[: second.first_target] == [end, *asked]
    assert targets(second) == [*f" {LONG[4].content}".encode(), end]


def test_each_target_of_a_long_answer_lies_in_one_block_with_its_question_near() -> None:
    tokens = list(range(100, 200))
    for first in (1, 30, 70, 99):
        for block_tokens in (8, 13, 60, 128):
            blocks = cut_answer(Example(tokens, first, follows_prefix=True), block_tokens)
            learned = [t for block in blocks for t in targets(block)]
            assert learned == tokens[first:]
            for block in blocks:
                assert len(block.tokens) <= block_tokens
                assert block.tokens == list(range(block.tokens[0], block.tokens[-1] + 1))
                known = block.tokens[block.first_target] - 100
                assert block.first_target >= min(known, block_tokens // 2)


def test_what_is_rendered_of_a_long_conversation_is_bounded() -> None:
    turns = [m for i in range(200) for m in (Message("user", f"q{i}"), Message("assistant", "a"))]
    messages = (Message("system", "s"), *turns)
    shown = context(messages, 400, 30)
    assert shown[0].role == "system"
    assert shown[1].role == "user"
    assert shown[-1] == Message("user", "q199")
    assert 30 <= sum(len(m.content) for m in shown[1:]) < 40


def test_no_gradient_comes_from_anything_but_the_answer(tokenizer: Tokenizer) -> None:
    [example] = of(tokenizer, ASKED)
    framing = Framing(tokenizer, ["plain"], 512)
    batch = build(framing.prefix, [Text(example, 1.0, 0)], [], 96, torch.device("cpu"))
    assert batch.targets_N.tolist() == targets(example)


def test_it_is_tested_then_learned_remembered_and_rehearsed_like_text(
    tokenizer: Tokenizer,
) -> None:
    state, stepper = fakes.state(), fakes.stepper(tokenizer)
    nats = Surprise(stepper.framing, RECIPE).nats(state.model, [ASKED])[0]
    report = stepper.step(state, [conversation(0, ASKED)])
    assert report is not None
    assert report.prequential_loss == pytest.approx(nats / len(b"In Bergen.x"), rel=1e-5)
    assert report.bits_per_byte == pytest.approx(nats / math.log(2) / 10, rel=1e-5)
    assert report.num_tokens["new"] == len(b"In Bergen.x")
    [due] = state.rehearsal.documents()
    assert due.content == ASKED
    random = random_for(0, 1, "memory")
    [kept] = state.memory.sample(1, random).examples
    assert kept == stepper.framing.examples(ASKED, 0, random)[0]
    again = stepper.step(state, [])
    assert again is not None
    assert (again.work, again.num_tokens["rehearsal"]) == ("rehearsal", len(b"In Bergen.x"))


def test_a_restored_learner_goes_on_to_the_same_bits(tokenizer: Tokenizer) -> None:
    def go_on(state: State) -> dict[str, str]:
        stepper = fakes.stepper(tokenizer)
        stepper.step(state, [])
        stepper.step(state, [conversation(1, LONG)])
        return fakes.bits(state)

    state, other = fakes.state(), fakes.state()
    fakes.stepper(tokenizer).step(state, [conversation(0, ASKED)])
    for name, part in state.parts.items():
        snapshot = part.snapshot(whole=True)
        other.parts[name].restore(
            [snapshot._replace(tensors={n: t.clone() for n, t in snapshot.tensors.items()})]
        )
    assert go_on(other) == go_on(state)


def test_a_held_out_conversation_is_measured_by_its_answers(tokenizer: Tokenizer) -> None:
    held_out = HeldOut(1.0, 0, 3600)
    arrivals = [conversation(0, ASKED), conversation(1, LONG)]
    routing = held_out.route(arrivals)
    assert not routing.learned
    assert is_held_out(arrivals[0].document.text, 1.0)
    held_out.keep(routing, RANDOM)
    [cell] = held_out.cells()
    assert [held.content for held in cell.texts] == [ASKED, LONG]
    assert cell.num_bytes == len(told(ASKED)) + len(told(LONG))
    again = HeldOut(1.0, 0, 3600)
    again.restore([held_out.snapshot(whole=True)])
    assert [held.content for held in again.cells()[0].texts] == [ASKED, LONG]


def test_a_long_conversation_is_held_as_its_last_exchange() -> None:
    question, answer = "é" * 5000 + "?", "ja, " * 3000
    messages = (*LONG, Message("user", question), Message("assistant", answer))
    held_out = HeldOut(1.0, 0, 3600)
    held_out.keep(held_out.route([conversation(0, messages)]), RANDOM)
    [held] = held_out.cells()[0].texts
    assert held.size_bytes <= CELL_BYTES
    assert held.messages is not None
    asked, answered = held.messages
    assert question.endswith(asked.content)
    assert answer.startswith(answered.content)
    assert len(answered.content) > 1000
    assert shortened(ASKED, CELL_BYTES) == ASKED


def test_a_clean_record_without_an_answer_is_no_document() -> None:
    class Record:
        offset, timestamp = 3, 5
        headers = (("raw-offset", b"7"),)
        value = b""

    record = Record()
    for messages, is_one in ((ASKED, True), (ASKED[:1], False), ((), False)):
        document = Document(text="a", source="s", timestamp_ms=0, messages=messages)
        record.value = encode(document)
        assert (arrival_of(0, record) is not None) == is_one
