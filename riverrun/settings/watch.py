"""Settings of what watches the learning."""

from pydantic import Field

from riverrun.settings.section import Section


class WatchSettings(Section):
    """Health, held-out text, drift. They change no weight; the gate's rules read what they find."""

    health_interval: int = Field(
        20, ge=1, le=1_000_000, description="Updates between two looks at each layer's norms."
    )
    probe_share: float = Field(
        0.005,
        ge=0,
        le=1,
        description="Cost of looking into the layers (dead units, rank, curvature), as a share of "
        "the training; 0: never.",
    )
    exploding_factor: float = Field(
        10.0, gt=1, le=1e6, description="A gradient norm so many times its usual one explodes."
    )
    vanishing_ratio: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="A layer whose gradient (root mean square) is below this share of the "
        "strongest layer's vanishes.",
    )
    update_ratio_most: float = Field(
        0.1, gt=0, le=10, description="An update above this share of a layer's weights explodes."
    )
    dead_units_most: float = Field(
        0.5, gt=0, le=1, description="Share of a layer's units that may be dead."
    )
    rank_least: float = Field(
        0.02, ge=0, le=1, description="Effective rank below which hidden states have collapsed."
    )
    stall_window: int = Field(
        200, ge=2, le=1_000_000, description="Updates on new text that are compared with as many."
    )
    evaluation_tokens: int = Field(
        8192, ge=1, le=100_000_000, description="Held-out tokens of one evaluation."
    )
    evaluation_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Cost of the evaluations as a share of the training; 0: never.",
    )
    near_future_gap: int = Field(
        256,
        ge=0,
        le=10_000_000,
        description="Documents between weights and the text they are judged on (to twice as many); "
        "0: never. Keeps one more copy of the weights, in bfloat16.",
    )
    near_future_share: float = Field(
        0.005, ge=0, le=1, description="Cost of that as a share of the training."
    )
