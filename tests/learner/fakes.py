"""A model small enough for a hundred steps a second, and documents to learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import torch

from learner.arrival import Arrival, Range
from learner.framing import Framing
from learner.identity import FORMAT, Identity
from learner.origin import Origin
from learner.recipe import SCRATCH, Recipe
from learner.redo import Refetch
from learner.snapshots import hashes
from learner.state import State
from learner.step import Stepper
from learner.strategies.registry import strategy_of
from learner.watch.protocol import Watch
from riverrun.model import tiny
from riverrun.model.decoder import Decoder
from riverrun.records import Document
from riverrun.tokenizer import Tokenizer

SMALL = msgspec.structs.replace(
    tiny.CONFIG, hidden_size=32, num_layers=2, num_heads=2, num_key_value_heads=1, head_dim=16,
    intermediate_size=64,
)  # fmt: skip

RECIPE = msgspec.structs.replace(
    SCRATCH,
    strategy="replay",
    optimizer="adamw",
    ema_decay=0.95,
    replay_share=0.5,
    block_tokens=48,
    row_tokens=96,
    max_step_tokens=512,
    memory_blocks=16,
    max_passes=3,
    rehearsal_documents=4,
    target_loss=0.5,
    warmup_steps=2,
)


def tokenizer_in(directory: Path) -> Tokenizer:
    tiny.write(directory)
    return Tokenizer(directory)


def model() -> Decoder:
    """The same untrained weights each time."""
    made = Decoder(SMALL)
    made.initialise(torch.Generator().manual_seed(1))
    return made


def state(recipe: Recipe = RECIPE) -> State:
    return State(model(), recipe)


def stepper(
    tokenizer: Tokenizer,
    recipe: Recipe = RECIPE,
    origin: Origin | None = None,
    watches: Sequence[Watch] = (),
) -> Stepper:
    framing = Framing(tokenizer, recipe.framings, recipe.block_tokens, recipe.study_pairs)
    strategy = strategy_of(recipe, framing.prefix)
    return Stepper(recipe, 7, framing, strategy, origin or Origin.empty(), watches)


def learn(
    tokenizer: Tokenizer, state: State, first: int, last: int, recipe: Recipe = RECIPE
) -> State:
    """Steps `first` to `last`: two in three on new text."""
    made = stepper(tokenizer, recipe)
    for i in range(first, last + 1):
        is_new = i % 3 or not len(state.rehearsal)
        assert made.step(state, [arrival(i)] if is_new else []) is not None
    return state


def identity(recipe: Recipe = RECIPE) -> Identity:
    return Identity(
        run="ab12",
        format=FORMAT,
        model="small",
        weights="0",
        files={"config.json": "0", "tokenizer.json": "1"},
        topic="clean",
        seed=7,
        recipe=recipe,
    )


def arrival(number: int, *, partition: int = 0, text: str | None = None) -> Arrival:
    """Document `number` of a partition: clean offset, and raw offset twice that."""
    text = (
        text if text is not None else f"{number}: the river runs to the sea, {'so ' * (number % 9)}"
    )
    document = Document(text=text, source=f"s{number % 2}", timestamp_ms=number)
    return Arrival(partition, number, 2 * number, 1000 + number, document)


def refetch_from(arrivals: Sequence[Arrival]) -> Refetch:
    """What replays a journal without Kafka."""

    def refetch(
        ranges: Sequence[Range], marks: Mapping[int, int], source: str | None = None
    ) -> list[Arrival]:
        found = {(r.partition, o) for r in ranges for o in range(r.first, r.last + 1)}
        wanted = [
            a
            for a in arrivals
            if (a.partition, a.clean_offset) in found and source in (None, a.document.source)
        ]
        assert all(a.raw_offset > marks.get(a.partition, -1) for a in wanted)
        return wanted

    return refetch


def bits(state: State) -> dict[str, str]:
    """A hash of each part of the state, whichever there are; equal exactly when two states are."""
    return hashes(state.parts)
