"""Whether the processes and the broker are there."""

from panels import Panel, Row

ROW = Row(
    "Processes",
    [
        Panel("Ready", "none", "", [("riverrun_process_up", "{{process}}")]),
        Panel(
            "Restarts",
            "none",
            "In ten minutes.",
            [("increase(riverrun_process_restarts_total[10m])", "{{process}}")],
        ),
        Panel(
            "Broker",
            "none",
            "Answers, by topic how far it has been written.",
            [
                ("riverrun_broker_up", "up"),
                ("sum by (topic) (riverrun_broker_end_offset)", "{{topic}}"),
            ],
        ),
        Panel("Broker memory", "bytes", "", [("riverrun_broker_resident_bytes", "resident")]),
    ],
)
