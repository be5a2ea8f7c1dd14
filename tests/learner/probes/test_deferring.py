"""A candidate is scored as the version that it would be is served: by itself or by its origin."""

import torch

from learner.probes.deferring import are_left, prose_scores, scores, sheet_of
from learner.probes.scoring import NOT_FINITE
from learner.probes.tasks import Cloze, Prose, Question, Task
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.probes.test_tasks import scorer_of

TEXTS = [
    Prose("The river runs to the sea."),
    Prose("A night train leaves at nine, and nobody knows why."),
]
TASKS: list[Task] = [
    Cloze("The river runs to the", " sea", [" moon", " bed"]),
    Cloze("A night train leaves at", " nine", [" ten", " noon"]),
    Question("Who runs to the sea?", ["nobody"]),
    *TEXTS,
]


def move(model: Decoder) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)


def test_each_task_has_the_score_of_whoever_answers_it(tokenizer: Tokenizer) -> None:
    scorer = scorer_of(tokenizer)
    model = fakes.model()
    untouched = sheet_of(scorer, model, TASKS)
    move(model)
    own = scorer.scores(model, TASKS)
    assert scores(scorer, model, TASKS, untouched, 0.0) == own

    nats = scorer.prompt_nats(model, TASKS)
    for margin in (1e-6, 1.0, 5.0, 1e6):
        left = are_left(TASKS, nats, untouched.prompt_nats, margin)
        found = scores(scorer, model, TASKS, untouched, margin)
        expected = [
            theirs if is_left else mine
            for is_left, mine, theirs in zip(left, own, untouched.scores, strict=True)
        ]
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))
    assert all(are_left(TASKS, nats, untouched.prompt_nats, 1e6))
    assert not any(are_left(TASKS, nats, untouched.prompt_nats, 0.0))


def test_what_is_left_to_the_origin_does_not_hide_what_the_learned_weights_say(
    tokenizer: Tokenizer,
) -> None:
    scorer = scorer_of(tokenizer)
    model = fakes.model()
    untouched = sheet_of(scorer, model, TEXTS)
    move(model)
    own = torch.tensor(scorer.scores(model, TEXTS))
    hidden = prose_scores(scorer, model, TEXTS, untouched, 1e6)
    assert hidden.served == untouched.scores
    torch.testing.assert_close(torch.tensor(hidden.learned), own)
    shown = prose_scores(scorer, model, TEXTS, untouched, 0.0)
    assert shown.served == shown.learned == hidden.learned


def test_weights_that_are_not_finite_are_as_bad_as_can_be(tokenizer: Tokenizer) -> None:
    scorer = scorer_of(tokenizer)
    model = fakes.model()
    untouched = sheet_of(scorer, model, TEXTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    found = prose_scores(scorer, model, TEXTS, untouched, 6.0)
    assert found.learned == [NOT_FINITE] * len(TEXTS)
    assert found.served == untouched.scores


def test_who_learned_a_text_answers_what_names_it(tokenizer: Tokenizer) -> None:
    """Of one that learned nothing else; the untouched one keeps the rest."""
    scorer = scorer_of(tokenizer)
    state, stepper = fakes.state(), fakes.stepper(tokenizer)
    untouched = sheet_of(scorer, state.model, TASKS)
    for i in range(60):
        stepper.step(state, [fakes.arrival(i, text="The river runs to the sea.")])
    nats = scorer.prompt_nats(state.model, TASKS)
    left = are_left(TASKS, nats, untouched.prompt_nats, 7.0)
    assert not left[0]
    assert not left[3]


def test_of_a_prompt_each_own_token_is_counted(tokenizer: Tokenizer) -> None:
    scorer = scorer_of(tokenizer)
    tasks: list[Task] = [Question("ab", ["x"]), Question("ab", ["x"], chat=True), Prose("ab")]
    plain, asked, text = scorer.prompt_nats(fakes.model(), tasks)
    assert len(plain) == len(tokenizer.encode("ab"))
    whole = tokenizer.chat([{"role": "user", "content": "ab"}])
    assert len(asked) == len(whole) - len(tokenizer.common_beginning)
    # The end of a text is predicted too.
    assert len(text) == len(tokenizer.encode("ab")) + 1
