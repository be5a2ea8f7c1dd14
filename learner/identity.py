"""What a run is of: the model, recipe, seed and topic that its numbers depend on.

Written beside the checkpoints at the first start, and compared at each later one: offsets of
another topic, an optimizer's state under another rate, or a memory of another tokenizer's tokens
would be used without a word otherwise.

Knows nothing of weights' values but their hash. Called by `line.py`, `pretrain/` and `verify.py`.
"""

import hashlib
import secrets
from pathlib import Path

import msgspec

from learner.recipe import Recipe
from riverrun.errors import CheckpointError
from riverrun.model.decoder import Decoder
from riverrun.workspace import replace_file

FORMAT = 7
"""Of checkpoints and journal, and of what a step makes of them. Any other is refused."""
FILE = "identity.json"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """`run` names this line of weights; all else has to be equal for it to go on.

    files: SHA-256 of what the weights speak with (tokenizer, configuration, template), by name.
    world_size: learners that share a step.
    ancestors: the runs that it took over from, oldest first, each time something was undone.
    """

    run: str
    format: int
    model: str
    weights: str
    files: dict[str, str]
    topic: str
    seed: int
    recipe: Recipe
    world_size: int = 1
    ancestors: tuple[str, ...] = ()

    @property
    def replaces(self) -> str | None:
        """The run whose line this one takes over; None for a line of its own."""
        return self.ancestors[-1] if self.ancestors else None

    def made(self, version: str) -> bool:
        """Whether `version` is one of this line's own, and not an ancestor's."""
        return version.startswith(f"{self.run}-")

    def succeeded_by(self, run: str) -> "Identity":
        """The identity of the line that takes over from this one."""
        return msgspec.structs.replace(self, run=run, ancestors=(*self.ancestors, self.run))

    def shares(self, other: "Identity") -> bool:
        """Whether a state of `other`, from before this line parted from it, is one of ours."""
        plain = msgspec.structs.replace(other, run=self.run, ancestors=self.ancestors)
        return plain == self and other.run in (self.run, *self.ancestors)


def new_run() -> str:
    return secrets.token_hex(2)


def hash_of_weights(model: Decoder) -> str:
    """Of the untouched weights, so that a model that was replaced in its directory is noticed."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(memoryview(tensor.cpu().contiguous().reshape(-1).numpy()).cast("B"))
    return digest.hexdigest()[:16]


def spoken_files(directory: Path) -> list[Path]:
    """What the weights in a model's directory need to speak: everything beside them."""
    return sorted(p for p in directory.iterdir() if p.suffix in {".json", ".jinja"})


def hash_of_files(directory: Path) -> dict[str, str]:
    """Of the spoken ones, by name, so that the one that was changed can be told."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in spoken_files(directory)
    }


def of_new_run(
    name: str, model: Decoder, model_files: Path, topic: str, seed: int, recipe: Recipe
) -> Identity:
    """What a run that begins now is of. model: untouched, from `model_files`, known by `name`."""
    return Identity(
        run=new_run(),
        format=FORMAT,
        model=name,
        weights=hash_of_weights(model),
        files=hash_of_files(model_files),
        topic=topic,
        seed=seed,
        recipe=recipe,
    )


def settle(directory: Path, asked: Identity) -> Identity:
    """The identity of the run in `directory`: the one there if it fits, else `asked`, written.

    Raises CheckpointError naming each difference, with both values.
    """
    path = directory / FILE
    if not path.exists():
        replace_file(path, msgspec.json.format(msgspec.json.encode(asked)))
        return asked
    found = read(path)
    differing = differences(found, asked)
    if differing:
        raise CheckpointError(
            f"{directory} holds a learner with other settings: {'; '.join(differing)}. "
            f"Set these back, or name another --data-dir to begin anew."
        )
    return found


def read(path: Path) -> Identity:
    try:
        plain = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        if plain.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} is of format {plain.get('format')!r}, this riverrun reads format "
                f"{FORMAT}: go on with the release that wrote it, or name another --data-dir to "
                f"begin anew"
            )
        return msgspec.convert(plain, Identity)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def differences(found: Identity, asked: Identity) -> list[str]:
    """`learner.lr is 0.0001 there, 0.001 was asked for`, one each."""
    pairs = [
        (name, getattr(found, name), getattr(asked, name))
        for name in ("format", "model", "weights", "topic", "world_size")
    ]
    pairs += [
        (name, found.files.get(name, "absent"), asked.files.get(name, "absent"))
        for name in sorted(found.files.keys() | asked.files.keys())
    ]
    pairs.append(("learner.seed", found.seed, asked.seed))
    pairs += [
        (f"learner.{name}", getattr(found.recipe, name), getattr(asked.recipe, name))
        for name in Recipe.__struct_fields__
    ]
    return [
        f"{name} is {before!r} there, {now!r} was asked for"
        for name, before, now in pairs
        if before != now
    ]
