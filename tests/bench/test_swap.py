"""What `bench swap` counts as mixed, and what a percentile is."""

import math
from pathlib import Path

import pytest
import torch

from bench.streams import percentile
from bench.swap import Checked, Counted, count_mixed
from bench.wide_versions import wide_weights
from riverrun.model import tiny
from riverrun.tokenizer import Tokenizer


@torch.inference_mode()
def greedy(seed: int, tokens: list[int], count: int) -> list[int]:
    decoder, answer = wide_weights(seed), list[int]()
    for _ in range(count):
        answer.append(int(decoder(torch.tensor([tokens + answer]))[0, -1].argmax()))
    return answer


def test_an_answer_of_another_version_or_of_two_is_counted_and_a_right_one_is_not(
    tmp_path: Path,
) -> None:
    tiny.write(tmp_path)
    tokenizer = Tokenizer(tmp_path)
    prompt = tokenizer.encode("river 1: ")
    one, two = greedy(1, prompt, 8), greedy(2, prompt, 8)
    half = one[:4] + greedy(2, prompt + one[:4], 4)
    right = [Checked("river 1: ", 1, one), Checked("river 1: ", 2, two)]
    assert count_mixed(right, tokenizer) == Counted(0, 0, 0.0)
    wrong = [Checked("river 1: ", 2, one), Checked("river 1: ", 1, half)]
    assert count_mixed([*right, *wrong], tokenizer) == Counted(2, 0, 0.0)


@torch.inference_mode()
def test_an_answer_that_rounding_decided_is_a_tie_and_one_further_off_is_mixed(
    tmp_path: Path,
) -> None:
    """The runner-up, where it is nearest to the largest of all logits and where it is furthest."""
    tiny.write(tmp_path)
    tokenizer = Tokenizer(tmp_path)
    exact = wide_weights(1).double()
    prompts = [f"river {i}: " for i in range(10, 97)]
    rows_BT = torch.tensor([tokenizer.encode(prompt) for prompt in prompts])
    num_prompt = rows_BT.shape[1]
    for _ in range(48):
        rows_BT = torch.cat([rows_BT, exact(rows_BT)[:, -1:].argmax(2)], 1)
    logits_BTV = exact(rows_BT)[:, num_prompt - 1 : -1]
    best_BT2 = logits_BTV.topk(2, 2)
    gaps_BT = (best_BT2.values[:, :, 0] - best_BT2.values[:, :, 1]) / logits_BTV.std(2)

    def runner_up(place: int) -> Checked:
        row, at = divmod(place, gaps_BT.shape[1])
        said = rows_BT[row, num_prompt : num_prompt + at].tolist()
        return Checked(prompts[row], 1, [*said, int(best_BT2.indices[row, at, 1])])

    nearest, furthest = int(gaps_BT.argmin()), int(gaps_BT.argmax())
    counted = count_mixed([runner_up(nearest), runner_up(furthest)], tokenizer)
    assert (counted.mixed, counted.ties) == (1, 1)
    assert counted.widest_tie == pytest.approx(float(gaps_BT.min()))


@pytest.mark.parametrize(("share", "value"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_least_value_that_the_share_does_not_exceed(
    share: float, value: float
) -> None:
    assert percentile([float(i) for i in range(100, 0, -1)], share) == value
    assert math.isnan(percentile([], share))
