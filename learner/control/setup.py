"""The control of a line of weights, put together from it and Kafka. Called by `start.py`."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaConsumer

from learner.control.answers import Say
from learner.control.commands import Commands
from learner.control.control import Control
from learner.control.standing import read_standing
from learner.identity import FILE as IDENTITY_FILE
from learner.intake import Intake
from learner.journal import Journal
from learner.line import Line
from learner.undo.plan import Plan, Planner
from riverrun.records import LeftOut


def commands_of(line: Line, consumer: Callable[[], KafkaConsumer]) -> Commands:
    """Those that no learner of this directory has seen; `close` them."""
    next_offset = read_standing(line.directory).next_offset
    begun_ms = int((line.directory / IDENTITY_FILE).stat().st_mtime * 1000)
    return Commands(line.topics.control, consumer, next_offset, begun_ms)


def control_of(
    line: Line, options: Mapping[str, Any], commands: Commands, journal: Journal, say: Say
) -> Control:
    """Once the journal was done again. options: of the Kafka client."""
    settings, state = line.settings, line.state

    def plan(wanted: list[LeftOut]) -> Plan:
        with contextlib.closing(
            Intake(options, line.topics.clean, settings.kafka.max_record_bytes, state.left_out)
        ) as reader:
            planner = Planner(line.directory, line.store, reader.refetch)
            return planner.plan(wanted, state.progress.version)

    return Control(
        line.directory,
        commands,
        state,
        line.store,
        journal,
        line.identity,
        say,
        plan,
        settings.kafka.num_partitions,
        line.guard,
        line.metrics,
        lambda detail: line.running.announce("ready", detail=detail),
    )
