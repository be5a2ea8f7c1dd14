"""Settings of the learner."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from riverrun.settings.section import Section


class LearnerSettings(Section):
    """The training loop. `None` takes the value that `learner/recipe.py` has for the model."""

    strategy: str | None = Field(
        None,
        description="What a step minimizes: `finetune` (only the text at hand), or different ones "
        "of `replay`, `dark`, `distill`, `origin`, `reptile` and one `avalanche:NAME` (`EWC`, "
        "`SI`, `MAS`, `LwF`, `AGEM`, `GEM`), joined by `+`; `--strategy` in short.",
    )
    optimizer: Literal["adamw", "muon"] | None = Field(
        None, description="`muon`: Muon for the hidden matrices, AdamW for the rest."
    )
    lr: float | None = Field(None, gt=0, le=1, description="Peak rate of AdamW.")
    muon_lr: float | None = Field(None, gt=0, le=1, description="Peak rate of Muon.")
    warmup_steps: int | None = Field(
        None, ge=0, le=100_000, description="Steps from rate 0 to `lr`; constant from then on."
    )
    weight_decay: float | None = Field(None, ge=0, le=1, description="Decoupled weight decay.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the matrix products; weights and sums stay float32. `auto`: "
        "bfloat16 where the processor has it (SmolLM2 2.5 times faster here, `tiny` 1.8), else "
        "float32. Part of the recipe: a run that moves to another kind of machine names it.",
    )
    grad_clip: float = Field(1.0, gt=0, le=1000, description="Largest global gradient norm.")
    block_tokens: int | None = Field(
        None,
        ge=8,
        le=32768,
        description="Tokens of one row of a batch; longer text is cut into rows.",
    )
    max_step_tokens: int | None = Field(
        None, ge=8, le=10_000_000, description="New tokens in one step at most (large when behind)."
    )
    max_wait_s: float = Field(
        0.05, ge=0, le=60, description="How long a poll waits for more text before a step, seconds."
    )
    replay_share: float | None = Field(
        None,
        ge=0,
        le=0.95,
        description="Share of a step's rows that come from the replay memory; beside due documents "
        "the less, the more of all that was learned is due.",
    )
    distill_weight: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="`distill`: weight of the KL to the averaged weights on replayed text.",
    )
    dark_weight: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="`dark`: weight of the KL to what the model said when it stored a text.",
    )
    dark_top_k: int | None = Field(
        None, ge=1, le=1024, description="`dark`: tokens stored with their log-probabilities."
    )
    reptile_interval: int | None = Field(
        None, ge=1, le=100_000, description="`reptile`: updates between two meta steps."
    )
    reptile_rate: float | None = Field(
        None, gt=0, le=1, description="`reptile`: share of the way that a meta step goes."
    )
    memory_blocks: int | None = Field(
        None, ge=1, le=100_000_000, description="Capacity of the replay memory, blocks."
    )
    memory_policy: Literal["reservoir", "balanced", "recency", "loss-aware"] | None = Field(
        None,
        description="What the replay memory keeps and shows: all that ever came alike, each source "
        "alike, newer text more often, or what was hard more often (reservoir).",
    )
    memory_half_life: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="`recency`: blocks that come until one is shown half as often.",
    )
    memory_power: float | None = Field(
        None, ge=0, le=10, description="`loss-aware`: a block is shown as loss to this power."
    )
    memory_place: Literal["auto", "memory", "mapped", "device"] = Field(
        "auto",
        description="Where replay blocks lie: the host's memory, a mapped sparse file in the data "
        "directory, or beside the model. `auto`: a file for more than 1 GiB.",
    )
    experience_by: Literal["steps", "source"] | None = Field(
        None,
        description="`avalanche:*`: where an experience ends: after `experience_steps`, or sooner "
        "when most of a step's documents have another source (steps).",
    )
    experience_steps: int | None = Field(
        None, ge=1, le=10_000_000, description="`avalanche:*`: steps of one experience at most."
    )
    experience_blocks: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="`avalanche:*`: blocks of an experience that its plugin is shown at the end.",
    )
    max_passes: int | None = Field(
        None, ge=1, le=1000, description="Passes over a document at most, the first one included."
    )
    target_loss: float | None = Field(
        None,
        ge=0,
        le=20,
        description="A document is no longer due when the dearest token of each answer to its "
        "study questions (of an open one, its mean) costs less than this; without questions, when "
        "its loss does (nats).",
    )
    study_pairs: int | None = Field(
        None,
        ge=0,
        le=16,
        description="Questions on a due document that a pass after the first shows in its place, "
        "of those that are not known yet: the model's own, and open ones; 0: none (it must speak).",
    )
    recall_share: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="Share of a step's examples that are study questions of documents that are due "
        "no more, at most: each comes back after twice as many steps as long as it is known, and "
        "soon when it was lost; 0: none.",
    )
    max_due_documents: int = Field(
        10_000,
        ge=0,
        le=10_000_000,
        description="Documents waiting for rehearsal at most; the "
        "oldest leave first and are counted.",
    )
    origin_texts: int | None = Field(
        None, ge=0, le=10_000, description="Texts in the origin memory (pretrained models)."
    )
    origin_file: Path | None = Field(
        None,
        description="Text file for the origin memory, one text a line (JSON lines with "
        "`text`, or plain). Unset: the model writes them itself.",
    )
    origin_weight: float | None = Field(
        None, ge=0, le=1000, description="Weight of the KL to the origin."
    )
    origin_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the untouched model's weights in those that are served: more keeps "
        "more of what it knew, and less of what it was told.",
    )
    deferral_margin: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="Nats by which what was learned has to make some stretch of a prompt likelier, "
        "for the learned weights to answer it; the untouched model answers the others. 0: the "
        "learned ones answer all.",
    )
    held_out_share: float | None = Field(
        None,
        ge=0,
        le=0.5,
        description="Share of the documents that are never trained on, by the hash of their text: "
        "forgetting is measured on them (1 in 100).",
    )
    held_out_after: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Documents of a source that are all learned before any is held out: a small "
        "source has none to spare (64).",
    )
    held_out_bucket_s: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Width of a time bucket of held-out text at first, seconds; doubled for a "
        "source that comes to have more than twelve (an hour).",
    )
    ema_decay: float | None = Field(
        None, ge=0, lt=1, description="Decay per step of the averaged weights, which are served."
    )
    publish_interval_s: float | None = Field(
        None, ge=0, le=86_400, description="Shortest time between two versions, seconds."
    )
    publishing_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Of the learner's time, what making versions may cost while more text waits. "
        "With nothing waiting each step has its version: then freshness counts, else throughput.",
    )
    checkpoint_interval_s: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Longest time between two checkpoints, seconds. After "
        "a crash the journal replays what came since.",
    )
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="Newest checkpoints kept.")
    checkpoint_ladder_s: tuple[Annotated[float, Field(ge=1, le=1e9)], ...] = Field(
        (3600.0, 86_400.0),
        max_length=20,
        description="Periods in seconds. For each one, the first checkpoint of the current period "
        "and of the one before are kept too, and the journal as far back as the oldest: what "
        "`verify` and undoing begin from. `[]`: none.",
    )
    lease_s: float = Field(
        15.0,
        ge=1,
        le=3600,
        description="How long a learner may be silent before another one may take over, seconds. "
        "Renewed three times as often; a dead one is followed at once on the same file system.",
    )
    require_identical: bool = Field(
        False,
        description="Whether a restart stops when the journal done again gives other bits than "
        "those published (another machine or thread count). Unset: it warns and goes on.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Every random choice derives from it.")
    num_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads that learn, each on its share of a step's examples; of more than four "
        "each share has several. 0: all cores, and one for `tiny`, whose products are too small "
        "to share: a core stays free for serving.",
    )
    nice: int | None = Field(
        None,
        ge=0,
        le=19,
        description="Lower priority, so that serving comes first. Without a number one thread "
        "learns only while no other process wants the core (and with 10 for a while where all "
        "cores are always busy), and several are a little nice.",
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")
