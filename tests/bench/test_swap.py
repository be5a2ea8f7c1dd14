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


@pytest.mark.parametrize(("share", "value"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_least_value_that_the_share_does_not_exceed(
    share: float, value: float
) -> None:
    assert percentile([float(i) for i in range(100, 0, -1)], share) == value
    assert math.isnan(percentile([], share))
