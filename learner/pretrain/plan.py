"""What a directory is the pretraining of: compared when the same command comes again.

Also the recipe: the learner's own numbers, without what only a stream needs. Called by
`riverrun pretrain` and `run.py`.
"""

from pathlib import Path

import msgspec

from learner.recipe import RECIPES, Kind, Recipe, resolve
from riverrun.errors import CheckpointError
from riverrun.settings import LearnerSettings
from riverrun.workspace import replace_file

FILE = "plan.json"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a topic (without size and time)."""

    name: str
    num_bytes: int | None = None
    modified_ns: int | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what is read and how far the run goes.

    epochs: None: as many as `tokens` take. clean: the stream's profile. in_order: not shuffled.
    """

    inputs: list[Input]
    clean: str | None = None
    epochs: int | None = 1
    tokens: int | None = None
    held_out: float = 0.01
    in_order: bool = False


def settle_plan(directory: Path, asked: Plan) -> bool:
    """Whether `directory` has this plan already; it is written when it has none.

    Raises CheckpointError naming what differs.
    """
    path = directory / FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.format(msgspec.json.encode(asked)))
        return False
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    differing = [
        f"{name} is {getattr(found, name)!r} there, {getattr(asked, name)!r} was asked for"
        for name in Plan.__struct_fields__
        if getattr(found, name) != getattr(asked, name)
    ]
    if differing:
        raise CheckpointError(
            f"{directory.parent} is the output of another pretraining: {'; '.join(differing)}. "
            f"Give the same command as there to go on, or name another --output."
        )
    return True


def recipe_of(settings: LearnerSettings, kind: Kind, *, has_bfloat16: bool) -> Recipe:
    """The kind's recipe with everything learned, once, and nothing rehearsed or held to an origin.

    What the operator set counts, but for the passes over a document: epochs are the plan's.
    """
    base = msgspec.structs.replace(
        RECIPES[kind],
        framings=("plain",),
        weighting="tokens",
        study_pairs=0,
        trains_embeddings=True,
        ema_decay=0.95,
        origin_texts=0,
        origin_per_step=0,
        origin_weight=0.0,
        origin_share=0.0,
        deferral_margin=0.0,
        held_out_share=0.0,
        publish_dtype="float32",
    )
    if settings.strategy is None:
        base = msgspec.structs.replace(base, strategy="finetune", replay_share=0.0, memory_blocks=1)
    recipe = resolve(settings, kind, has_bfloat16=has_bfloat16, base=base)
    return msgspec.structs.replace(recipe, max_passes=1, held_out_share=0.0, origin_texts=0)
