"""Every knob on one page: defaults, then a TOML file, then the environment, then the command line.

Environment names nest with two underscores: `RIVERRUN_LEARNER__LR=1e-4`. An unknown key is an
error. One file a section; `load.py` merges the layers, `rules.py` holds what goes beyond one key;
`docs/configuration.md` is generated from the descriptions.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from riverrun.settings.client import ClientSettings
from riverrun.settings.gate import GateSettings
from riverrun.settings.kafka import BrokerSettings, KafkaSettings
from riverrun.settings.learner import LearnerSettings
from riverrun.settings.section import Section
from riverrun.settings.serving import ServingSettings
from riverrun.settings.store import StoreSettings
from riverrun.settings.stream import StreamSettings
from riverrun.settings.supervisor import SupervisorSettings
from riverrun.settings.watch import WatchSettings

__all__ = [
    "BrokerSettings",
    "ClientSettings",
    "GateSettings",
    "KafkaSettings",
    "LearnerSettings",
    "Section",
    "ServingSettings",
    "Settings",
    "StoreSettings",
    "StreamSettings",
    "SupervisorSettings",
    "WatchSettings",
]


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="RIVERRUN_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        Path("riverrun-data"), description="All that a system keeps; processes meet here."
    )
    model: str = Field(
        "smollm2",
        min_length=1,
        description="`tiny`, `smollm2`, a directory in the Hugging Face layout, or `hf:ORG/NAME`.",
    )
    device: str = Field("auto", description="`auto` (CUDA when there is one), `cpu`, `cuda`, …")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="What the log files hold."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the log lines: for people, or one JSON object a line."
    )
    kafka: KafkaSettings = KafkaSettings()
    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    learner: LearnerSettings = LearnerSettings()
    watch: WatchSettings = WatchSettings()
    gate: GateSettings = GateSettings()
    store: StoreSettings = StoreSettings()
    serving: ServingSettings = ServingSettings()
    client: ClientSettings = ClientSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
