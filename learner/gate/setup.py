"""The gate of a run, put together from settings and store. Called by `line.py`, `start.py`."""

import logging
from pathlib import Path

import msgspec

from learner.assembly import Assembly
from learner.gate.gate import Gate
from learner.gate.reference import Reference
from learner.probes.examiner import Examiner
from learner.probes.scoring import Scorer
from learner.probes.tasks import GUARDRAILS, Prose, built_in, from_files
from learner.publish import PUBLISH_DTYPES
from learner.recipe import Kind
from learner.watch.surprise import Surprise
from riverrun.errors import InvalidValue
from riverrun.metrics import LearnerMetrics
from riverrun.settings import Settings
from riverrun.store import VersionStore

log = logging.getLogger(__name__)


def examiner_of(
    settings: Settings, kind: Kind, assembly: Assembly, metrics: LearnerMetrics
) -> Examiner:
    """While the model is untouched; `prepare` it then. Raises InvalidValue for a probe file."""
    own = from_files(settings.gate.probe_files)
    groups = built_in()
    is_scratch = kind == "scratch"
    for group in sorted([] if is_scratch else own.keys() & groups.keys()):
        log.warning(
            "probe group %s: %d tasks of gate.probe_files in place of the %d that come along",
            group,
            len(own[group]),
            len(groups[group]),
        )
    scorer = Scorer(assembly.framing, Surprise(assembly.framing, assembly.recipe))
    margin = assembly.recipe.deferral_margin
    if settings.gate.control_file is not None:
        control = control_texts(settings.gate.control_file)
    else:
        control = [] if is_scratch else [t for t in groups[GUARDRAILS] if isinstance(t, Prose)]
    chosen: list[Prose] = []
    for text in control:
        if chosen and scorer.num_tokens([*chosen, text]) > settings.gate.control_tokens:
            break
        chosen.append(text)
    return Examiner(
        scorer,
        own if is_scratch else groups | own,
        chosen,
        settings.gate.probe_interval_s,
        metrics,
        list(groups) if is_scratch else [],
        margin,
    )


def control_texts(path: Path) -> list[Prose]:
    """Raises InvalidValue when the file has no text."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [Prose(_text(line)) for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidValue("gate.control_file", str(path), f"a file of texts ({error})") from None
    if not found:
        raise InvalidValue("gate.control_file", str(path), "a file with at least one line of text")
    return found


class Line(msgspec.Struct):
    text: str


def _text(line: str) -> str:
    return msgspec.json.decode(line, type=Line).text if line.startswith("{") else line


def gate_of(
    settings: Settings, assembly: Assembly, store: VersionStore, examiner: Examiner
) -> Gate:
    """Once the journal was done again: the reference is the best version that the state knows."""
    state = assembly.state
    reference = Reference(PUBLISH_DTYPES[assembly.recipe.publish_dtype])
    device = state.model.output_matrix.device
    for version in (state.gate.facts.best, store.promoted()):
        if version is not None and reference.load(store, version, device):
            break
    else:
        log.warning("no promoted version has weights: the next one is compared with nothing")
    surprise = Surprise(assembly.framing, assembly.recipe)
    return Gate(settings.gate, surprise, reference, [examiner])
