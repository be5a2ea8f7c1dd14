"""A pretraining on the screen: on a terminal, and elsewhere."""

import pytest

from learner.pretrain.curve import Point
from learner.pretrain.moment import Moment
from riverrun.cli.pretrain_view import View, clock, described

MOMENT = Moment(
    step=1234,
    share=0.375,
    epoch=1.5,
    num_tokens=1_234_567,
    loss=2.34567,
    tokens_per_s=9876.5,
    left_s=754.2,
)
LINE = "step 1234  epoch 1.50  1,234,567 tokens  9,876 tokens/s  loss 2.346  12:34 left"


def test_a_moment_is_told_with_its_speed_its_loss_and_the_time_left() -> None:
    assert described(MOMENT) == LINE
    unknown = Moment(
        step=1, share=0.0, epoch=0.0, num_tokens=0, loss=6.0, tokens_per_s=0.0, left_s=None
    )
    assert described(unknown) == "step 1  epoch 0.00  0 tokens  0 tokens/s  loss 6.000"


def test_a_long_time_reads_as_hours() -> None:
    assert [clock(s) for s in (5, 65, 3661)] == ["0:05", "1:05", "1:01:01"]


def test_a_terminal_has_a_bar_and_above_it_what_happened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    with View(is_terminal=True) as view:
        view.say("12 [documents]")
        view.tell(told(0.1))
        view.tell(told(0.375))
    said = capsys.readouterr()
    assert said.out == ""
    above, bar = said.err.rstrip().rsplit("\n", 1)
    assert above.splitlines() == ["12 [documents]", *ABOVE, *ABOVE]
    assert f" 37.5%  {LINE}" in bar
    assert "\u2501" in bar


def test_elsewhere_it_is_a_line_now_and_then_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with View(is_terminal=False) as view:
        for share in (0.1, 0.2, 0.3, 1.0):
            view.tell(Moment(**{**FIELDS, "share": share}))
    assert capsys.readouterr().err.splitlines() == [f" 10.0%  {LINE}", f"100.0%  {LINE}"]


FIELDS = {name: getattr(MOMENT, name) for name in MOMENT.__struct_fields__}
ABOVE = [
    "step 1234: exploding",
    "step 1234: held out 3.000 nats a token, 1.500 bits a byte",
]


def told(share: float) -> Moment:
    point = Point(
        step=1234,
        num_tokens=1,
        epoch=1.5,
        rate=1e-3,
        training_loss=2.0,
        held_out_loss=3.0,
        held_out_bits_per_byte=1.5,
    )
    return Moment(**{**FIELDS, "share": share, "point": point, "findings": ["exploding"]})
