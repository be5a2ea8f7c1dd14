"""The gate of `bench facts`: what it promotes is served, and what it holds is not."""

from pathlib import Path

import torch

from bench.gatekeeper import Gatekeeper
from learner.assembly import Assembly
from learner.journal import Decided, Journal
from riverrun.model.zoo import locate
from riverrun.settings import Settings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes


def test_a_broken_version_is_held_and_the_one_before_stays(tmp_path: Path) -> None:
    assembly = Assembly(fakes.RECIPE, 0, fakes.model(), Tokenizer(locate("tiny")))
    journal = Journal(tmp_path)
    gate = Gatekeeper("scratch", assembly, journal, tmp_path, Settings())
    untouched = dict(gate.served)
    name = next(iter(untouched))
    served = assembly.state.average.weights()[name]

    with torch.no_grad():
        served.mul_(1.5)
    assert gate.judge("a pass").verdict == "promote"
    promoted = gate.served
    assert torch.equal(promoted[name], untouched[name] * 1.5)

    with torch.no_grad():
        served.fill_(float("nan"))
    held = gate.judge("a pass")
    assert held.verdict != "promote"
    assert held.numbers["broken_weights"] == served.numel()
    assert gate.served is promoted
    written = [entry for entry in journal.entries_from(0) if isinstance(entry, Decided)]
    journal.close()
    assert [entry.verdict for entry in written] == [one.verdict for one in gate.decisions]
