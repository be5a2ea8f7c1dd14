"""A plan made beside a running learner, or without one: reads, and changes nothing.

Called by `riverrun undo --dry-run`.
"""

import contextlib
from collections.abc import Sequence

from learner.identity import FILE, read
from learner.intake import Intake
from learner.left_out import StandingLeftOut
from learner.undo.plan import Plan, Planner, wanted_of
from riverrun.errors import CheckpointError
from riverrun.kafka import bootstrap_servers, client_options
from riverrun.records import LeftOut
from riverrun.settings import Settings
from riverrun.store import store_of

KAFKA_TIMEOUT_S = 30.0


def plan_beside(
    settings: Settings, ranges: Sequence[LeftOut], source: str | None, version: str | None
) -> Plan:
    """What undoing one of these takes. Raises what `Planner.plan` does, NotRunning, BrokerError."""
    directory = settings.data_dir.expanduser() / "learner"
    if not (directory / FILE).exists():
        raise CheckpointError(f"no learner has run in {settings.data_dir}: there is no {FILE}")
    identity = read(directory / FILE)
    store = store_of(settings)
    partitions = list(range(settings.kafka.num_partitions))
    wanted = wanted_of(store, partitions, ranges=ranges, source=source, version=version)
    newest = max(
        (m for m in map(store.manifest, store.ids()) if m.run == identity.run),
        key=lambda m: m.step,
        default=None,
    )
    options = client_options(settings.kafka, bootstrap_servers(settings, KAFKA_TIMEOUT_S))
    left_out = StandingLeftOut(newest.left_out if newest else ())
    with contextlib.closing(
        Intake(options, identity.topic, settings.kafka.max_record_bytes, left_out)
    ) as intake:
        planner = Planner(directory, store, intake.refetch)
        return planner.plan(wanted, newest.version if newest else None)
