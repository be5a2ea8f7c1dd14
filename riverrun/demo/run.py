"""The story of the demo, from an empty directory to a table.

Start the system; ask everything; let a user keep asking; tell the facts through Kafka; wait until
the learner is at rest; ask again; follow one answer back to its text.
"""

import time
from collections.abc import Sequence

from riverrun.client import Client
from riverrun.demo.ask import Reply, ask
from riverrun.demo.load import Load
from riverrun.demo.outcome import Outcome, Traced
from riverrun.demo.questions import Fact, Question
from riverrun.demo.screen import Screen
from riverrun.produce import Record, produce
from riverrun.settings import Settings
from riverrun.status import Observer, SystemStatus
from riverrun.store import store_of
from riverrun.supervisor import Event, System
from riverrun.trace import CleanTopic, TracedDocument, line_of
from riverrun.workspace import Workspace

LOOK_INTERVAL_S = 0.25
JUDGED_WITHIN_S = 30.0
"""When nothing is left to learn, the last version has been judged by then."""


def run(
    settings: Settings,
    facts: Sequence[Fact],
    general: Sequence[Question],
    screen: Screen,
    *,
    learn_within_s: float,
) -> Outcome:
    """Everything, in the empty data directory of `settings`.

    Raises what the system raises when it does not come up; a request of the examination that fails
    raises too, while the load only counts its own.
    """
    begun = time.monotonic()
    with System(settings, on_event=lambda event: _tell(screen, event)) as system:
        system.wait_ready()
        address = Workspace(settings.data_dir).wait_ready("serving", 10).address
        assert address is not None, "a ready server has an address"
        with Client(address) as client, Observer(settings) as observer:
            screen.say(f"[bold]Ask {len(facts)} facts that nobody told it[/]")
            asked = [fact.asked() for fact in facts]
            facts_before = ask(client, asked, screen.reply)
            screen.say(f"[bold]Ask {len(general)} general questions[/]")
            general_before = ask(client, general, screen.reply)

            load = Load(address)
            load.start()
            try:
                told = time.monotonic()
                receipt = produce(settings, documents(facts))
                screen.say(
                    f"[bold]Tell it: {receipt.num_records} documents into Kafka[/], while a user "
                    "keeps asking other things"
                )
                rests = _await_rest(observer, load, screen, receipt.num_records, learn_within_s)
                learned = time.monotonic() - told
                at_rest = "The learner is at rest" if rests else "[yellow]Still learning[/]"
                screen.say(f"{at_rest} after {learned:.0f} s")
                screen.say("[bold]Ask again[/]")
                facts_after = ask(client, asked, screen.reply)
                general_after = ask(client, general, screen.reply)
            finally:
                load.stop()
                screen.rest()
            swaps = client.status().swaps
            if load.last_error is not None:
                screen.say(f"[red]A request failed:[/] {load.last_error}")
        traced = _trace(settings, facts, facts_after)
        screen.say("Stop")
    return Outcome(
        facts=facts,
        facts_before=facts_before,
        facts_after=facts_after,
        general_before=general_before,
        general_after=general_after,
        requests=load.requests + 2 * (len(facts) + len(general)),
        failed=load.failed,
        swaps=swaps,
        seconds=time.monotonic() - begun,
        learning_seconds=learned,
        traced=traced,
    )


def documents(facts: Sequence[Fact]) -> list[Record]:
    """The first document of every fact, then the second ones, …: a fact's documents lie apart."""
    longest = max(len(fact.documents) for fact in facts)
    return [
        Record(fact.documents[turn].encode(), source="demo")
        for turn in range(longest)
        for fact in facts
        if turn < len(fact.documents)
    ]


def _await_rest(
    observer: Observer, load: Load, screen: Screen, num_documents: int, within_s: float
) -> bool:
    """Wait until all documents are learned and rehearsed, and that version serves.

    A process that dies meanwhile is the supervisor's business; the status says so. False when the
    time is over: the demo goes on with what was learned. So it does when the last version is held:
    at rest nothing more comes of it.
    """
    deadline = time.monotonic() + within_s
    learning_at = time.monotonic()
    while not _serves_all(status := observer.look(), num_documents):
        screen.working(status, load)
        now = time.monotonic()
        if now >= deadline:
            screen.rest()
            return False
        learner = status.learner
        if learner is None or not learner.has_learned_all:
            learning_at = now
        elif learner.held_versions and now - learning_at > JUDGED_WITHIN_S:
            screen.rest()
            screen.say(f"[yellow]The newest versions are held:[/] {learner.held_versions}")
            return True
        time.sleep(LOOK_INTERVAL_S)
    screen.rest()
    return True


def _serves_all(status: SystemStatus, num_documents: int) -> bool:
    """Whether there is nothing left to learn, and what was learned is served."""
    learner, serving = status.learner, status.serving
    if learner is None or serving is None or serving.version is None:
        return False
    return (
        learner.has_learned_all
        and serving.version.documents >= num_documents
        and serving.version.step == learner.step
    )


def _trace(settings: Settings, facts: Sequence[Fact], replies: Sequence[Reply]) -> Traced | None:
    """A right answer's version, and the first document behind it that holds the answer."""
    store = store_of(settings)
    right = [pair for pair in zip(facts, replies, strict=True) if pair[1].is_right]
    if not right:
        return None
    fact, reply = right[0]
    with CleanTopic(settings) as topic:
        for manifest in line_of(store, reply.version, whole=True):
            for span in manifest.learned:
                for found in topic.read(span):
                    if isinstance(found, TracedDocument) and fact.asked().is_answered_by(
                        found.document.text
                    ):
                        return Traced(
                            question=fact.question,
                            answer=reply.text,
                            version=reply.version,
                            step=found.step,
                            partition=found.partition,
                            raw_offset=found.raw_offset,
                            document=found.document.text,
                        )
    return None


def _tell(screen: Screen, event: Event) -> None:
    """What the supervisor says: readiness, and whatever went wrong."""
    if event.kind in ("ready", "failed", "killed", "gave_up", "waiting"):
        colour = "" if event.kind == "ready" else "[yellow]"
        screen.say(f"{colour}{event.process or 'system'}: {event.text}{'[/]' if colour else ''}")
