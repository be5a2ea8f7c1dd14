"""From nothing to the loop: where the parts of the learner are made and put together.

In this order: the model, the run's identity, the last checkpoint, version 0 (so that serving can
start while the rest goes on), the origin memory, the journal's steps once more, the loop. Called by
`main.py`.
"""

import contextlib
import logging
import time
from functools import partial
from pathlib import Path

import torch
from kafka import KafkaConsumer

from learner.announcements import Announcements
from learner.assembly import Assembly
from learner.checkpoint import Checkpoints
from learner.control.commands import Commands
from learner.control.control import Control
from learner.control.standing import give_up, read_standing
from learner.framing import Framing
from learner.gate.setup import examiner_of, gate_of
from learner.identity import FILE as IDENTITY_FILE
from learner.identity import FORMAT, Identity, hash_of_weights, new_run, settle
from learner.intake import Intake
from learner.journal import Journal, Started
from learner.lease import Leases
from learner.loop import Loop
from learner.machine import this_machine
from learner.memory import Place
from learner.mirror import Mirror
from learner.origin import Origin
from learner.origin_fill import fill
from learner.publish import Publisher, deferral_of
from learner.recipe import kind_of, resolve, rhythm_of
from learner.released_text import ReleasedText
from learner.restart import Restart
from learner.resume import replay, restore
from learner.state import State
from learner.strategies.registry import needs_origin_memory
from learner.threads import threads_of, yields
from learner.turns import YieldingTurns, take_directly
from learner.undo.intent import read_intent
from learner.undo.plan import Plan, Planner
from learner.undo.take_over import TakeOver
from riverrun.broker.topics import ensure_topics
from riverrun.device import device_of, has_bfloat16
from riverrun.errors import CheckpointError, NotRunning, OffsetExpired
from riverrun.kafka import Topics, bootstrap_servers, client_options
from riverrun.metrics import LearnerMetrics
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.process import Running
from riverrun.records import LeftOut
from riverrun.settings import Settings
from riverrun.store import VersionStore
from riverrun.tokenizer import Tokenizer

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
LOOK_S = 0.5
"""How long to wait for Kafka before looking whether the process should stop."""


def fix_arithmetic(num_threads: int) -> None:
    """What the bits depend on: threads, and algorithms that give the same ones."""
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True)
    # It would also fill all fresh memory, which finds uninitialized reads, at a quarter of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def learn(settings: Settings, running: Running, store: VersionStore, leases: Leases) -> None:
    """Learn until `running.stop` is set. Raises LeaseLost when another learner has taken over."""
    fix_arithmetic(threads_of(settings))
    metrics = LearnerMetrics(running.registry)
    metrics.lease_term.set(leases.directory.term)
    is_again = True
    while is_again:
        try:
            learn_a_line(settings, running, store, leases, metrics)
            is_again = False
        except Restart as restart:
            log.warning("the learner begins anew: %s", restart)


def learn_a_line(
    settings: Settings,
    running: Running,
    store: VersionStore,
    leases: Leases,
    metrics: LearnerMetrics,
) -> None:
    """Learn until stopped. Raises Restart when there is to be another line of weights."""
    topics = Topics(settings.kafka.topic_prefix)
    directory = running.workspace.directory("learner")
    kind = kind_of(settings.model)
    device = device_of(settings.device)
    recipe = resolve(settings.learner, kind, has_bfloat16=has_bfloat16(device))
    rhythm = rhythm_of(settings.learner, kind, settings.store.keep_versions)

    model_files = locate(settings.model)
    model = files.load(model_files, torch.float32, device)
    place = Place(settings.learner.memory_place, device, directory / "memory")
    assembly = Assembly(
        recipe, settings.learner.seed, model, Tokenizer(model_files), place, settings.watch
    )
    state = assembly.state
    with leases.directory.guard():
        identity = settle(
            directory,
            Identity(
                run=new_run(),
                format=FORMAT,
                model=settings.model,
                weights=hash_of_weights(model),
                topic=topics.clean,
                seed=settings.learner.seed,
                recipe=recipe,
            ),
        )
    store.put_model(spoken_files(model_files))
    deferral = deferral_of(state, recipe, store)
    examiner = examiner_of(settings, kind, assembly, metrics)

    servers = kafka_servers(settings, running)
    if servers is None:
        return
    ensure_topics(settings, servers)
    options = client_options(settings.kafka, servers)
    guard = leases.directory.guard
    intent = read_intent(directory)
    if intent is not None and intent.phase != "installed":

        def origin_of() -> Origin | None:
            return origin_memory(state, assembly.framing, identity, directory, running)

        machine_here = this_machine(device)
        over = TakeOver(directory, intent, identity, assembly, options, settings, guard)
        try:
            is_done = over.carry_out(origin_of, machine_here, leases.directory.term, running)
        except (OffsetExpired, CheckpointError) as error:
            if intent.phase != "replay":
                raise
            give_up(directory, intent, store.promoted(), str(error), guard)
            raise Restart(f"{intent.subject} cannot be undone: {error}") from error
        if is_done:
            raise Restart(f"run {intent.run} takes over from {intent.replaces}")
        return
    with contextlib.ExitStack() as opened:
        journal = opened.enter_context(
            contextlib.closing(Journal(directory / "journal", guard)),
        )
        announcements = Announcements(options, topics.versions, journal)
        opened.callback(announcements.close, CLOSE_TIMEOUT_S)
        intake = Intake(options, topics.clean, settings.kafka.max_record_bytes, state.left_out)
        opened.callback(intake.close)
        checkpoints = Checkpoints(
            directory / "checkpoints",
            rhythm.keep_checkpoints,
            settings.learner.checkpoint_ladder_s,
            guard,
        )
        opened.callback(checkpoints.close)
        publisher = Publisher(
            store,
            identity,
            journal,
            announcements,
            metrics,
            rhythm.keep_versions,
            settings.store.ladder_s,
            deferral,
        )
        if checkpoints.steps():
            examiner.prepare(directory, model, guard)
        machine = restore(state, checkpoints, journal, identity)
        if is_untouched(state, journal):
            publisher.publish(state, {}, "the model as it was")
        if machine is None:
            examiner.prepare(directory, model, guard)
        running.announce("ready", detail="preparing")
        origin = origin_memory(state, assembly.framing, identity, directory, running)
        if origin is None:
            return
        metrics.origin_texts.set(len(origin))
        stepper = assembly.stepper(origin)
        was_replayed = replay(
            state,
            journal,
            intake.refetch,
            stepper,
            identity,
            metrics,
            running.stop.is_set,
            machine,
            must_be_identical=settings.learner.require_identical,
        )
        if not was_replayed:
            return
        journal.append(Started(this_machine(device), leases.directory.term))
        for version in journal.unannounced():
            announcements.tell(store.manifest(version))
        partitions = list(range(settings.kafka.num_partitions))
        intake.begin(partitions, state.progress.next_clean, state.progress.marks)
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
        standing = read_standing(directory)
        begun_ms = int((directory / IDENTITY_FILE).stat().st_mtime * 1000)
        commands = Commands(topics.control, consumer, standing.next_offset, begun_ms)
        opened.callback(commands.close, CLOSE_TIMEOUT_S)

        def plan(wanted: list[LeftOut]) -> Plan:
            with contextlib.closing(
                Intake(options, topics.clean, settings.kafka.max_record_bytes, state.left_out)
            ) as reader:
                return Planner(directory, store, reader.refetch).plan(
                    wanted, state.progress.version
                )

        released = ReleasedText(topics.clean, state.left_out, consumer)
        opened.callback(released.close)
        gate = gate_of(settings, assembly, store, examiner)
        take = take_directly
        if yields(settings):
            prepare = partial(fix_arithmetic, threads_of(settings))
            turns = YieldingTurns(prepare, metrics.starved_turns)
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
            identity=identity,
            rhythm=rhythm,
            max_wait_s=settings.learner.max_wait_s,
            metrics=metrics,
            mirror=mirror,
            guard=guard,
            control=Control(
                directory,
                commands,
                state,
                store,
                journal,
                identity,
                announcements.say,
                plan,
                settings.kafka.num_partitions,
                guard,
                metrics,
                partial(announce, running),
            ),
            released=released,
            take=take,
        ).run()
        leases.check()
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


def spoken_files(directory: Path) -> list[Path]:
    """What weights need to speak: everything beside them."""
    return sorted(p for p in directory.iterdir() if p.suffix in {".json", ".jinja"})


def announce(running: Running, detail: str) -> None:
    """What `riverrun status` shows of a learner that is ready."""
    running.announce("ready", detail=detail)


def is_untouched(state: State, journal: Journal) -> bool:
    """Whether no version was ever published."""
    return state.progress.version is None and journal.is_empty


def origin_memory(
    state: State, framing: Framing, identity: Identity, directory: Path, running: Running
) -> Origin | None:
    """The run's origin memory, filled if this is its first start; None when stopped meanwhile.

    Raises CheckpointError when it is gone after the model has changed: it cannot be made again.
    """
    recipe = identity.recipe
    if not needs_origin_memory(recipe):
        return Origin.empty()
    origin = Origin.load(directory)
    if origin is not None:
        return origin
    if state.progress.step > 0:
        raise CheckpointError(
            f"{directory} has a checkpoint but no origin memory; restore {directory}, or name "
            f"another --data-dir to begin anew"
        )
    running.announce("ready", detail="filling the origin memory")
    origin = fill(state.model, framing, recipe, identity.seed, running.stop.is_set)
    if origin is None:
        return None
    origin.save(directory)
    log.info("the origin memory holds %d texts", len(origin))
    return origin
