"""From nothing to the loop: where the parts of the learner are made and put together.

In this order: the line of weights (model, identity, what they are computed with), an undoing that
is not done yet, the last checkpoint, version 0 (so that serving can start while the rest goes on),
the origin memory, the journal's steps once more, the loop. Called by `main.py`.
"""

import contextlib
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from kafka import KafkaConsumer

from learner.announcements import Announcements
from learner.checkpoint import Checkpoints
from learner.control.setup import commands_of, control_of
from learner.gate.setup import gate_of
from learner.intake import Intake
from learner.journal import Journal, Started
from learner.lease import Leases
from learner.line import Line, begin_line
from learner.loop import Loop
from learner.machine import fix_arithmetic
from learner.mirror import Mirror
from learner.publish import Publisher
from learner.released_text import ReleasedText
from learner.restart import Restart
from learner.resume import enter, replay, restore
from learner.threads import threads_of, yields
from learner.turns import YieldingTurns, take_directly
from learner.undo.intent import read_intent
from learner.undo.take_over import take_over
from riverrun.broker.topics import ensure_topics
from riverrun.errors import NotRunning
from riverrun.kafka import bootstrap_servers, client_options
from riverrun.metrics import LearnerMetrics
from riverrun.process import Running
from riverrun.settings import Settings
from riverrun.store import VersionStore

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
LOOK_S = 0.5
"""How long to wait for Kafka before looking whether the process should stop."""


def learn(settings: Settings, running: Running, store: VersionStore, leases: Leases) -> None:
    """Learn until `running.stop` is set. Raises LeaseLost when another learner has taken over."""
    fix_arithmetic(threads_of(settings))
    metrics = LearnerMetrics(running.registry)
    metrics.lease_term.set(leases.directory.term)
    is_again = True
    while is_again:
        try:
            learn_a_line(begin_line(settings, running, store, leases, metrics))
            is_again = False
        except Restart as restart:
            log.warning("the learner begins anew: %s", restart)


def learn_a_line(line: Line) -> None:
    """Learn until stopped. Raises Restart when there is to be another line of weights."""
    servers = kafka_servers(line.settings, line.running)
    if servers is None:
        return
    ensure_topics(line.settings, servers)
    options = client_options(line.settings.kafka, servers)
    intent = read_intent(line.directory)
    if intent is not None and intent.phase != "installed":
        take_over(line, intent, options)
    else:
        learn_on(line, options)


def learn_on(line: Line, options: Mapping[str, Any]) -> None:
    """From the last checkpoint on until stopped. options: of Kafka's clients. Raises Restart."""
    settings, running, state, topics = line.settings, line.running, line.state, line.topics
    with contextlib.ExitStack() as opened:
        journal = opened.enter_context(
            contextlib.closing(Journal(line.directory / "journal", line.guard)),
        )
        announcements = Announcements(options, topics.versions, journal)
        opened.callback(announcements.close, CLOSE_TIMEOUT_S)
        intake = Intake(options, topics.clean, settings.kafka.max_record_bytes, state.left_out)
        opened.callback(intake.close)
        checkpoints = Checkpoints(
            line.directory / "checkpoints",
            line.rhythm.keep_checkpoints,
            settings.learner.checkpoint_ladder_s,
            line.guard,
        )
        opened.callback(checkpoints.close)
        publisher = Publisher(
            line.store,
            line.identity,
            journal,
            announcements,
            line.metrics,
            line.rhythm.keep_versions,
            settings.store.ladder_s,
            line.deferral,
        )
        if checkpoints.steps():
            line.examiner.prepare(line.directory, state.model, line.guard)
        machine = restore(state, checkpoints, journal, line.identity)
        if state.progress.version is None and journal.is_empty:
            publisher.publish(state, {}, "the model as it was")
        if machine is None:
            line.examiner.prepare(line.directory, state.model, line.guard)
        running.announce("ready", detail="preparing")
        origin = line.origin_memory()
        if origin is None:
            return
        line.metrics.origin_texts.set(len(origin))
        stepper = line.assembly.stepper(origin)
        was_replayed = replay(
            state,
            journal,
            intake.refetch,
            stepper,
            line.identity,
            line.metrics,
            running.stop.is_set,
            machine,
            must_be_identical=settings.learner.require_identical,
        )
        if not was_replayed:
            return
        journal.append(Started(line.machine(), line.term))
        for version in journal.unannounced():
            announcements.tell(line.store.manifest(version))
        enter(state, journal, range(settings.kafka.num_partitions), intake.oldest)
        intake.begin(state.progress.next_clean, state.progress.marks)
        mirror = Mirror(options, topics.clean, f"{settings.kafka.topic_prefix}riverrun-learner")
        opened.callback(mirror.close, CLOSE_TIMEOUT_S)
        consumer = partial(
            KafkaConsumer,
            **options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            metrics_enabled=False,
        )
        commands = commands_of(line, consumer)
        opened.callback(commands.close, CLOSE_TIMEOUT_S)
        released = ReleasedText(topics.clean, state.left_out, consumer)
        opened.callback(released.close)
        gate = gate_of(settings, line.assembly, line.store, line.examiner)
        take = take_directly
        if yields(settings):
            prepare = partial(fix_arithmetic, threads_of(settings))
            turns = YieldingTurns(prepare, line.metrics.starved_turns)
            opened.callback(turns.close)
            take = turns.take
        running.announce("ready", detail="learning")
        Loop(
            stop=running.stop,
            state=state,
            stepper=stepper,
            intake=intake,
            journal=journal,
            publisher=publisher,
            gate=gate,
            announcements=announcements,
            checkpoints=checkpoints,
            identity=line.identity,
            rhythm=line.rhythm,
            max_wait_s=settings.learner.max_wait_s,
            metrics=line.metrics,
            mirror=mirror,
            guard=line.guard,
            control=control_of(line, options, commands, journal, announcements.say),
            released=released,
            take=take,
        ).run()
        line.leases.check()
        running.announce("draining")


def kafka_servers(settings: Settings, running: Running) -> list[str] | None:
    """The addresses of Kafka once it is there; None when stopped meanwhile.

    Raises NotRunning when it is not there in time.
    """
    deadline = time.monotonic() + settings.supervisor.start_timeout_s
    while not running.stop.is_set():
        try:
            return bootstrap_servers(settings, LOOK_S)
        except NotRunning:
            if time.monotonic() > deadline:
                raise
    return None
