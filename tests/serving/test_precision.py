"""In which form weights are served: by what each was measured to take, and if it is exact."""

import msgspec
import pytest
import torch
from torch import Tensor

from riverrun.errors import InvalidValue
from serving import precision
from serving.precision import CLEARLY, SMALL_MODEL, choose
from serving.products import Int8Product, Precision
from tests.serving.published import CONFIG

CPU = torch.device("cpu")
LARGE = msgspec.structs.replace(CONFIG, vocab_size=1_000_000)


def test_a_small_model_is_served_in_fp32_unmeasured() -> None:
    assert choose(CONFIG, "auto", CPU) == "float32"


def test_a_form_that_is_named_is_taken_unmeasured() -> None:
    assert choose(LARGE, "bfloat16", CPU) == "bfloat16"


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({"bfloat16": 0.5, "int8": 2.0}, "int8"),
        ({"bfloat16": 0.5, "int8": 1.1}, "float32"),
        ({"bfloat16": 0.5, "int8": CLEARLY + 0.01}, "int8"),
        ({"bfloat16": 0.5, "int8": CLEARLY - 0.01}, "float32"),
        ({"bfloat16": 2.0}, "bfloat16"),
        # Narrower again, and hardly quicker than the one before it.
        ({"bfloat16": 2.0, "int8": 2.2}, "bfloat16"),
        ({"bfloat16": 2.0, "int8": 2.4}, "int8"),
    ],
)
def test_a_narrower_form_is_taken_where_it_was_clearly_quicker(
    monkeypatch: pytest.MonkeyPatch, speeds: dict[Precision, float], chosen: Precision
) -> None:
    """speeds: as multiples of fp32's."""
    times = {"float32": 0.003, **{name: 0.003 / speed for name, speed in speeds.items()}}
    monkeypatch.setattr(precision, "measure", lambda *_: times)
    assert LARGE.num_parameters() > SMALL_MODEL
    assert choose(LARGE, "auto", CPU) == chosen


def test_int8_is_refused_where_its_products_saturate(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = Int8Product.multiply

    def saturating(product: Int8Product, operand: Tensor, out_NO: Tensor) -> Tensor:
        # The largest sum is 62 steps of 64 inputs.
        return exact(product, operand, out_NO).clamp(-127.0 * 62 * 60, 127.0 * 62 * 60)

    monkeypatch.setattr(Int8Product, "multiply", saturating)
    with pytest.raises(InvalidValue, match=r"serving\.precision.*no exact products of int8"):
        choose(CONFIG, "int8", CPU)
