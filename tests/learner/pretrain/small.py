"""A model of a few thousand parameters as a directory without weights, and a text to learn."""

from pathlib import Path

from learner.pretrain.corpus import Piece, freeze
from learner.pretrain.plan import Plan
from learner.pretrain.run import Pretraining
from riverrun.model import files, tiny
from riverrun.records import Document, Message, text_of
from riverrun.settings import Settings
from riverrun.settings.learner import LearnerSettings
from tests.learner import fakes


def shape(directory: Path) -> Path:
    """Only config.json and what the tokenizer needs."""
    tiny.write(directory)
    (directory / "model.safetensors").unlink()
    (directory / files.CONFIG).write_bytes(fakes.SMALL.to_hf())
    return directory


def settings(model: Path | str, **learner: object) -> Settings:
    numbers: dict[str, object] = {
        "num_threads": 1,
        "max_step_tokens": 256,
        "block_tokens": 64,
        "checkpoint_interval_s": 0,
        **learner,
    }
    return Settings(model=str(model), device="cpu", learner=LearnerSettings(**numbers))  # type: ignore[arg-type]


def document(number: int) -> Document:
    text = f"{number}: the river runs to the sea, {'so ' * (number % 9)}and on."
    return Document(text=text, source="s", timestamp_ms=number)


def answered(number: int) -> Document:
    messages = (Message("user", f"Where is {number}? " * 3), Message("assistant", f"At {number}."))
    return Document(text=text_of(messages), source="qa", timestamp_ms=number, messages=messages)


def pieces(num: int = 60) -> list[Piece]:
    return [Piece(i % 2, i // 2, document(i)) for i in range(num)]


def begun(
    output: Path,
    model: Path | str,
    plan: Plan | None = None,
    *,
    of: list[Piece] | None = None,
    **learner: object,
) -> Pretraining:
    """A pretraining in `output`, its corpus frozen if it is not there."""
    plan = plan or Plan(inputs=[], epochs=2, held_out=0.1)
    corpus = output / "training" / "corpus"
    if not corpus.exists():
        freeze(corpus, of or pieces(), plan.held_out, {})
    return Pretraining(settings(model, **learner), plan, output)
