"""Settings of the version store."""

from pydantic import Field

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
        description="Newest versions whose weights are kept; manifests of "
        "older ones stay, so that `trace` still works.",
    )
