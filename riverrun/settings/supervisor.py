"""Settings of `riverrun up`."""

from pydantic import Field

from riverrun.settings.section import Section


class SupervisorSettings(Section):
    """`riverrun up`."""

    start_timeout_s: float = Field(
        300.0, gt=0, le=86_400, description="How long a process may take to be ready, seconds."
    )
    stop_timeout_s: float = Field(
        45.0, gt=0, le=3600, description="How long a process may take to stop, seconds."
    )
    max_backoff_s: float = Field(
        30.0, gt=0, le=3600, description="Longest pause before a crashed process starts again."
    )
    max_restarts: int = Field(
        10,
        ge=0,
        le=1000,
        description="Restarts of one process within ten minutes before `up` "
        "gives up with its log's last lines.",
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")
