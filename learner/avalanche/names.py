"""Which of Avalanche's plugins run on a stream of text, and what `learner.strategy` says of them.

`avalanche:EWC`, or with arguments `avalanche:EWC:ewc_lambda=10,mode=separate`. Everything is
checked here, before the first step and before avalanche is imported.

Called by `strategies/registry.py` and `term.py`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from riverrun.errors import InvalidValue

PREFIX = "avalanche:"
FIELD = "learner.strategy"
MOST_EXPERIENCES = 16
"""Of a plugin that keeps something of each experience: the last one then goes on for ever."""

Argument = int | float | str


class Known(NamedTuple):
    """A plugin that runs.

    arguments: their defaults. grows: whether it keeps something of each experience, and so pays
    for each in every step. aliases: whether what it keeps may be the live weights themselves.
    derived: attributes that are made anew and not kept in a checkpoint.
    """

    plugin: str
    arguments: Mapping[str, Argument]
    grows: bool = False
    aliases: bool = False
    derived: tuple[str, ...] = ()


KNOWN: dict[str, Known] = {
    "EWC": Known("EWCPlugin", {"ewc_lambda": 1.0, "mode": "online", "decay_factor": 0.9}),
    "SI": Known("SynapticIntelligencePlugin", {"si_lambda": 1.0, "eps": 1e-7}, aliases=True),
    "MAS": Known("MASPlugin", {"lambda_reg": 1.0, "alpha": 0.5}),
    "LwF": Known("LwFPlugin", {"alpha": 1.0, "temperature": 2.0}),
    "AGEM": Known(
        "AGEMPlugin",
        {"patterns_per_experience": 64, "sample_size": 16},
        grows=True,
        derived=("buffer_dataloader", "buffer_dliter", "reference_gradients"),
    ),
    "GEM": Known(
        "GEMPlugin",
        {"patterns_per_experience": 16, "memory_strength": 0.5},
        grows=True,
        derived=("G",),
    ),
}
ALIASES = {"A-GEM": "AGEM", "SYNAPTICINTELLIGENCE": "SI"}

CLASSES = "classes that come and go: a language model has one head over all tokens"
LOOP = "Avalanche's own loop over a finite data set: a stream has no epochs"
REFUSED = {
    "BiC": f"it corrects the bias between old and new {CLASSES}",
    "CWRStar": f"it keeps an output layer for each task's {CLASSES}",
    "CoPE": f"it keeps a prototype of each of the {CLASSES}",
    "UpdateNCM": f"it keeps a mean of each of the {CLASSES}",
    "FeCAM": f"it keeps a covariance of each of the {CLASSES}",
    "LFL": "it needs an image model's feature extractor and task-wise training",
    "FeatureDistillation": "it needs an image model's feature extractor",
    "GenerativeReplay": "it needs a second, generative model of images",
    "Replay": f"it changes the data loader of {LOOP}; `replay` is the same on a stream",
    "MIR": f"it changes the minibatch of {LOOP}",
    "RAR": f"it changes the minibatch of {LOOP}",
    "GSS_greedy": f"it changes the minibatch of {LOOP}",
    "GDumb": f"it trains a new model in {LOOP}",
    "FromScratchTraining": f"it trains a new model in {LOOP}",
    "EarlyStopping": f"it stops {LOOP}",
    "LRScheduler": f"it counts the epochs of {LOOP}; the learner has a pace of its own",
}


class Asked(NamedTuple):
    """What a term's name asks for, complete."""

    name: str
    known: Known
    arguments: dict[str, Argument]

    @property
    def grows(self) -> bool:
        return self.known.grows or self.arguments.get("mode") == "separate"


def is_avalanche(term: str) -> bool:
    return term.startswith(PREFIX)


def asked(term: str) -> Asked:
    """Raises InvalidValue for an unknown plugin (naming those that work), one that needs what a
    language model lacks (naming it), and arguments that the plugin does not take."""
    named, _, told = term.removeprefix(PREFIX).partition(":")
    plain = named.removesuffix("Plugin").upper()
    plain = ALIASES.get(plain, plain)
    by_plain = {name.upper(): name for name in KNOWN}
    if plain not in by_plain:
        reasons = {name.upper(): reason for name, reason in REFUSED.items()}
        works = ", ".join(f"{PREFIX}{name}" for name in KNOWN)
        if plain in reasons:
            raise InvalidValue(FIELD, term, f"no {named}: it needs more than a stream has, since "
                               f"{reasons[plain]}. There are {works}")  # fmt: skip
        raise InvalidValue(FIELD, term, works)
    name = by_plain[plain]
    known = KNOWN[name]
    arguments = _arguments(term, told, known)
    if name == "EWC" and arguments["mode"] == "separate":
        del arguments["decay_factor"]
    return Asked(name, known, arguments)


def _arguments(term: str, told: str, known: Known) -> dict[str, Argument]:
    arguments = dict(known.arguments)
    for one in filter(None, told.split(",")):
        key, _, value = one.partition("=")
        if key not in arguments:
            allowed = f"arguments of {known.plugin}: {', '.join(arguments)}"
            raise InvalidValue(FIELD, term, allowed)
        kind = type(arguments[key])
        try:
            arguments[key] = kind(value)
        except ValueError as error:
            raise InvalidValue(FIELD, term, f"for {key} {_number(kind)}") from error
    _check(term, arguments)
    return arguments


def _number(kind: type) -> str:
    return "a whole number" if kind is int else "a number"


def _check(term: str, arguments: Mapping[str, Argument]) -> None:
    for key, value in arguments.items():
        if key == "mode":
            if value not in ("online", "separate"):
                raise InvalidValue(FIELD, term, "for mode `online` or `separate`")
        elif key == "sample_size":
            if not isinstance(value, int) or value < MOST_EXPERIENCES:
                allowed = f"for sample_size a whole number from {MOST_EXPERIENCES}: one a memory"
                raise InvalidValue(FIELD, term, allowed)
        elif not isinstance(value, str) and not 0 <= value < float("inf"):
            raise InvalidValue(FIELD, term, f"for {key} a number from 0")
        elif key in ("patterns_per_experience", "temperature", "eps") and not value:
            raise InvalidValue(FIELD, term, f"for {key} a number above 0")
