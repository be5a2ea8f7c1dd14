"""How a model is taught, as concrete numbers: the settings, completed by what its kind needs.

A model that starts from nothing (`scratch`) and one that knows things already (`pretrained`) want
different rates, memories and passes. The recipe's hash goes into each checkpoint and manifest:
weights are comparable, and a checkpoint usable, only under one recipe. The rhythm is apart from
it: when something is written down changes no weight.
"""

import hashlib
from typing import Literal

import msgspec

from riverrun.settings import LearnerSettings

Kind = Literal["scratch", "pretrained"]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that changes what the weights become, but for model, text and seed."""

    strategy: str

    optimizer: str
    lr: float
    """Peak rate of AdamW: of everything, or of what Muon leaves to it."""
    warmup_steps: int
    weight_decay: float
    betas: tuple[float, float]
    muon_lr: float
    muon_momentum: float
    grad_clip: float
    precision: Literal["float32", "bfloat16"]
    """Of the matrix products. Weights, optimizer and losses are float32 always."""
    ema_decay: float
    trains_embeddings: bool
    """Whether the embedding (and the tied output matrix) learns too. A pretrained model knows its
    tokens; leaving them alone saves a fifth of SmolLM2's optimizer and forgets less."""

    framings: tuple[str, ...]
    """How a document is shown in its first, second, … pass; the last one repeats."""
    block_tokens: int
    row_tokens: int
    """Examples are packed into rows of about this length."""
    max_step_tokens: int
    chunk_tokens: int
    """Tokens run forward and backward at once; a larger step adds up gradients."""
    weighting: Literal["tokens", "examples"]
    """Whether each token, or each example (a block, a question), counts the same in a loss."""
    study_pairs: int
    """Self-written questions shown beside a document in a pass that is framed as `study`."""

    recall_share: float
    """Of a step's examples, questions of documents that are due no more (`notebook.py`)."""

    replay_share: float
    memory_blocks: int
    memory_policy: str
    memory_half_life: int
    """Of `recency`: examples that come until one is shown half as often."""
    memory_power: float
    """Of `loss-aware`: 0 shows all alike, 1 in proportion to their loss."""
    experience_by: Literal["steps", "source"]
    experience_steps: int
    """An experience, for Avalanche's plugins, is so many steps at most."""
    experience_blocks: int
    """Of its new examples a plugin is shown a sample of so many."""
    distill_weight: float
    """Of the KL to the averaged weights on replayed text, beside a prediction loss of weight 1."""
    dark_weight: float
    """Of the KL to what the model said when it stored the replayed text."""
    dark_top_k: int
    reptile_interval: int
    """Updates between two meta steps."""
    reptile_rate: float
    """How far a meta step takes the slow weights towards the fast ones."""

    max_passes: int
    target_loss: float
    rehearsal_documents: int
    """Due documents in one rehearsal step at most."""
    max_due_documents: int
    max_due_characters: int

    origin_texts: int
    origin_file: str | None
    origin_per_step: int
    origin_weight: float
    origin_top_k: int
    origin_share: float
    """Of the origin's weights in those that are served."""
    deferral_margin: float
    """Nats of trace that a prompt has to bear to be answered by the learned weights, not by the
    origin's (`riverrun/deferral.py`); 0 where they answer everything."""

    held_out_share: float
    held_out_after: int
    """Documents of a source that are all learned before a share of them is held out."""
    held_out_bucket_s: float

    publish_dtype: Literal["float32", "bfloat16"]

    def hash(self) -> str:
        """Twelve hex digits that are equal exactly when all the numbers are."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """When versions and checkpoints are written."""

    publish_interval_s: float
    """Between two versions after new text."""
    rehearsal_interval_s: float
    """Between two versions while nothing but rehearsal happens."""
    publishing_share: float
    """Of the time, what making versions may cost while more text waits."""
    checkpoint_interval_s: float
    keep_checkpoints: int
    keep_versions: int


SCRATCH = Recipe(
    strategy="replay+distill",
    optimizer="muon",
    lr=3e-3,
    warmup_steps=20,
    weight_decay=0.01,
    betas=(0.9, 0.98),
    muon_lr=0.005,
    muon_momentum=0.95,
    grad_clip=1.0,
    precision="float32",
    ema_decay=0.998,
    trains_embeddings=True,
    framings=("plain",),
    block_tokens=256,
    row_tokens=256,
    max_step_tokens=512,
    chunk_tokens=16_384,
    weighting="tokens",
    study_pairs=0,
    recall_share=0.0,
    replay_share=0.75,
    memory_blocks=8192,
    memory_policy="reservoir",
    memory_half_life=2048,
    memory_power=0.6,
    experience_by="steps",
    experience_steps=200,
    experience_blocks=256,
    distill_weight=0.5,
    dark_weight=0.5,
    dark_top_k=16,
    reptile_interval=10,
    reptile_rate=0.5,
    max_passes=3,
    target_loss=0.5,
    rehearsal_documents=32,
    max_due_documents=10_000,
    max_due_characters=64_000_000,
    origin_texts=0,
    origin_file=None,
    origin_per_step=0,
    origin_weight=0.0,
    origin_top_k=128,
    origin_share=0.0,
    deferral_margin=0.0,
    held_out_share=0.01,
    held_out_after=64,
    held_out_bucket_s=3600.0,
    publish_dtype="float32",
)

PRETRAINED = Recipe(
    strategy="replay+origin",
    optimizer="adamw",
    lr=1.5e-4,
    warmup_steps=5,
    weight_decay=0.0,
    betas=(0.9, 0.99),
    muon_lr=0.02,
    muon_momentum=0.95,
    grad_clip=1.0,
    precision="float32",
    ema_decay=0.0,
    trains_embeddings=False,
    framings=("plain", "questions"),
    block_tokens=256,
    row_tokens=512,
    max_step_tokens=512,
    chunk_tokens=2048,
    weighting="examples",
    study_pairs=4,
    recall_share=0.35,
    replay_share=0.0,
    memory_blocks=8192,
    memory_policy="reservoir",
    memory_half_life=2048,
    memory_power=0.6,
    experience_by="steps",
    experience_steps=200,
    experience_blocks=256,
    distill_weight=0.5,
    dark_weight=0.5,
    dark_top_k=16,
    reptile_interval=10,
    reptile_rate=0.5,
    max_passes=8,
    target_loss=0.3,
    rehearsal_documents=2,
    max_due_documents=10_000,
    max_due_characters=64_000_000,
    origin_texts=64,
    origin_file=None,
    origin_per_step=2,
    origin_weight=1.5,
    origin_top_k=64,
    origin_share=0.0,
    deferral_margin=6.0,
    held_out_share=0.01,
    held_out_after=64,
    held_out_bucket_s=3600.0,
    publish_dtype="bfloat16",
)

RECIPES: dict[Kind, Recipe] = {"scratch": SCRATCH, "pretrained": PRETRAINED}
PUBLISH_INTERVAL_S: dict[Kind, float] = {"scratch": 0.0, "pretrained": 5.0}
SHORTEST_REHEARSAL_INTERVAL_S = 1.0
"""Versions for new text come at once; those of rehearsal alone would flood the store."""
REHEARSAL_PATIENCE = 3
"""And they come so many times less often: each one costs serving a load of all weights."""


def kind_of(model: str) -> Kind:
    """`tiny` starts from nothing; whatever was named otherwise has learned something before."""
    return "scratch" if model == "tiny" else "pretrained"


def resolve(
    settings: LearnerSettings,
    kind: Kind,
    *,
    has_bfloat16: bool = False,
    base: Recipe | None = None,
) -> Recipe:
    """The recipe of a kind of model, with what the operator set instead of its own numbers.

    has_bfloat16: whether the device multiplies in bfloat16; what precision `auto` asks for.
    base: instead of the kind's own.
    """
    recipe = base or RECIPES[kind]
    chosen = {
        name: getattr(settings, name)
        for name in LearnerSettings.model_fields
        if name in Recipe.__struct_fields__ and getattr(settings, name) is not None
    }
    if settings.precision == "auto":
        chosen["precision"] = "bfloat16" if has_bfloat16 else "float32"
    if settings.origin_file is not None:
        chosen["origin_file"] = str(settings.origin_file)
    recipe = msgspec.structs.replace(recipe, **chosen)
    # A row holds the longest example, and a step the longest row.
    return msgspec.structs.replace(
        recipe,
        row_tokens=max(recipe.row_tokens, recipe.block_tokens),
        chunk_tokens=max(recipe.chunk_tokens, recipe.block_tokens),
    )


def rhythm_of(settings: LearnerSettings, kind: Kind, keep_versions: int) -> Rhythm:
    interval_s = settings.publish_interval_s
    if interval_s is None:
        interval_s = PUBLISH_INTERVAL_S[kind]
    return Rhythm(
        publish_interval_s=interval_s,
        rehearsal_interval_s=max(REHEARSAL_PATIENCE * interval_s, SHORTEST_REHEARSAL_INTERVAL_S),
        publishing_share=settings.publishing_share,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        keep_checkpoints=settings.keep_checkpoints,
        keep_versions=keep_versions,
    )
