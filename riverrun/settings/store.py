"""Settings of the version store."""

from pydantic import Field

from riverrun.settings.periods import Periods
from riverrun.settings.section import Section


class StoreSettings(Section):
    """Where versions go."""

    url: str | None = Field(
        None, description="fsspec URL of the version store. Unset: `store` in the data directory."
    )
    keep_versions: int = Field(
        5,
        ge=2,
        le=10_000,
        description="Newest versions whose weights are kept, beside the best one's, to which a "
        "roll back goes; manifests of older ones stay, so that `trace` still works.",
    )
    ladder_s: Periods = Field(
        (3600.0, 86_400.0),
        description="Periods in seconds. For each one, the first version of the current period and "
        "of the one before keep their weights too: so there is always one to go back to that is "
        "one to two periods old. `[]`: none.",
    )
