"""One step: test, then train. A pure function of the state, the step's documents and its seed.

The loss of new text comes from the same forward pass that learns from it: it was not seen before,
so that loss is a test. A rehearsal step differs only in where its documents come from: the due
ones, chosen from the state and the step's seed, so that the journal need not list them.

Knows nothing of Kafka, files or versions. Called by `loop.py` and, after a crash, `resume.py`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from learner.answered import UNKNOWN_LOSS, answer_costs
from learner.arrival import Arrival, in_order, spans_of
from learner.batch import Text
from learner.framing import Framing
from learner.gradients import Gradients, Sums
from learner.lesson import Lesson, Planner
from learner.origin import Origin
from learner.recipe import Recipe
from learner.rehearsal import Retired
from learner.seeds import random_for
from learner.state import State
from learner.step_report import StepReport
from learner.strategies.strategy import Strategy
from learner.watch.held_out import Routing
from learner.watch.non_finite import Skipped, Suspect, blame, note
from learner.watch.protocol import Watch
from learner.watch.surprise import Surprise

NUM_KNOWN = 8
"""Examples of the memory that are tried where a step was not finite and replayed nothing."""


class Stepper:
    """All that stays the same from step to step."""

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        framing: Framing,
        strategy: Strategy,
        origin: Origin,
        watches: Sequence[Watch] = (),
    ) -> None:
        self.recipe = recipe
        self.framing = framing
        self._seed = seed
        self._strategy = strategy
        self._watches = watches
        self._surprise = Surprise(framing, recipe)
        self._planner = Planner(recipe, seed, framing, strategy, origin)
        self._gradients = Gradients(recipe, framing, strategy)

    def step(
        self,
        state: State,
        arrivals: Sequence[Arrival],
        *,
        released: str | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> StepReport | None:
        """Do the next step, on `arrivals` or, without any, on due documents.

        released: the source whose documents, released from quarantine, these are.
        Gives None, with the state as it was, when `is_stopping` became true before the update.
        """
        routing = route(state, arrivals, released)
        if arrivals and not routing.learned:
            return self._only_held_out(state, routing)
        lesson = self._planner.plan(state, routing.learned, state.progress.step + 1)
        self._strategy.begin(state, lesson)
        sums = self._gradients.of(state, lesson, is_stopping)
        if sums is None:
            state.optimizer.forget_gradients()
            return None
        self._strategy.before_update(state, lesson)
        for watch in self._watches:
            watch.before_update(state, lesson)
        num_updates = state.progress.num_updates
        norm = float(state.optimizer.gradient_norm())
        is_finite = math.isfinite(sums.loss) and math.isfinite(norm)
        if is_finite:
            state.optimizer.update(state.pace.share(num_updates))
            state.average.follow(num_updates)
            state.progress.num_updates += 1
            self._strategy.after_update(state, lesson)
        state.optimizer.forget_gradients()
        skipped = None if is_finite else self._blame(state, lesson)
        sums.replayed.tell(state.memory)
        report = StepReport(
            step=lesson.step,
            work=lesson.work,
            loss=sum(sums.nats) / sum(one.num_targets for one in lesson.shown),
            rate=state.pace.rate(num_updates),
            gradient_norm=norm,
            is_finite=is_finite,
            num_tokens=lesson.num_tokens(),
            num_documents=Counter(one.source for one in lesson.shown),
            retired=self._remember(state, lesson, sums, skipped),
            origin_divergence=sums.divergence,
            skipped=skipped,
            findings=skipped.findings() if skipped else [],
        )
        if lesson.work == "new":
            num_bytes = sum(len(one.told.encode()) for one in lesson.shown)
            report.prequential_loss = report.loss
            report.bits_per_byte = sum(sums.nats) / math.log(2) / num_bytes
        self._count(state, routing, report)
        for watch in self._watches:
            report.findings += watch.after_update(state, lesson, report)
        return report

    def _only_held_out(self, state: State, routing: Routing) -> StepReport:
        """A step without an update: its documents count, and are learned from by nobody."""
        report = StepReport(
            step=state.progress.step + 1,
            work="new",
            loss=math.nan,
            rate=state.pace.rate(state.progress.num_updates),
            gradient_norm=0.0,
            is_finite=True,
            num_tokens=Counter(),
            num_documents=Counter(),
            retired=Counter(),
        )
        self._count(state, routing, report)
        return report

    def _blame(self, state: State, lesson: Lesson) -> Skipped:
        """Each document on its own: neighbours in a row spoil each other's losses."""
        by_owner: dict[int, list[Text]] = {}
        for text in lesson.texts:
            by_owner.setdefault(text.owner, []).append(text)
        if len(lesson.shown) not in by_owner:
            # A step that replays nothing tells bad weights from bad documents by this.
            random = random_for(self._seed, lesson.step, "blame")
            known = state.memory.sample(NUM_KNOWN, random).examples
            by_owner[len(lesson.shown)] = [Text(one, 1.0, 0) for one in known]

        def alone(owner: int) -> float:
            texts = [text._replace(owner=0) for text in by_owner.get(owner, [])]
            return self._surprise.nats_of_examples(state.model, texts, 1)[0]

        skipped = blame(
            lesson.step,
            [Suspect(one.source, *(one.raw or (None, None))) for one in lesson.shown],
            [alone(owner) for owner in range(len(lesson.shown))],
            alone(len(lesson.shown)),
        )
        note(state.progress.non_finite, skipped)
        return skipped

    def _remember(
        self, state: State, lesson: Lesson, sums: Sums, skipped: Skipped | None
    ) -> Counter[Retired]:
        """New documents into the memory and among the due; the losses of those that were due.

        Not those that made the step not finite.
        """
        random = random_for(self._seed, lesson.step, "reservoir")
        spoiled = skipped.retired if skipped else frozenset()
        retired: Counter[Retired] = Counter()
        num_texts = 0
        for number, pairs in lesson.studied.items():
            state.rehearsal.studied(number, pairs)
        for i, (one, nats_of_one) in enumerate(zip(lesson.shown, sums.nats, strict=True)):
            num_texts += len(one.examples)
            costs = answer_costs(one, sums.answers[:num_texts])
            loss = nats_of_one / one.num_targets
            if not math.isfinite(loss):
                loss = UNKNOWN_LOSS
            if i in spoiled:
                retired["non_finite"] += 1
                if one.number is not None:
                    state.rehearsal.drop(one.number)
            elif one.number is None:
                placed = state.memory.add(one.examples, one.source, random)
                self._strategy.remembered(state, i, placed)
                num_tokens = sum(len(example.tokens) for example in one.examples)
                retired.update(
                    state.rehearsal.admit(
                        one.text, one.source, num_tokens, loss, one.raw, one.messages
                    )
                )
            else:
                why = state.rehearsal.shown(one.number, loss, costs)
                if why is not None:
                    retired[why] += 1
                    state.notebook.write(one.pairs or [], lesson.step)
        for number, pairs in lesson.studied.items():
            outdated = state.rehearsal.strike(number, state.notebook.outdated(pairs))
            state.notebook.strike(outdated)
        answers = sums.answers[num_texts : num_texts + len(lesson.recalled)]
        recalled = zip(lesson.recalled, answers, strict=True)
        state.notebook.asked(
            {pair: answered.cost(pair) for pair, answered in recalled}, lesson.step
        )
        return retired

    def _count(self, state: State, routing: Routing, report: StepReport) -> None:
        progress = state.progress
        progress.step = report.step
        arrivals = in_order([*routing.learned, *routing.held_out])
        for arrival in arrivals:
            progress.newest_ms = max(arrival.arrived_ms, progress.newest_ms or 0)
        if routing.released is None:
            pass_over(state, [*arrivals, *routing.diverted])
            state.quarantine.keep(routing.diverted)
        else:
            state.quarantine.take(routing.released, arrivals)
        progress.num_documents += len(routing.learned)
        progress.num_held_out += len(routing.held_out)
        progress.num_tokens += sum(report.num_tokens.values())
        progress.pending += spans_of(
            routing.learned,
            report.step,
            routing.held_out,
            routing.diverted,
            only=routing.released,
        )
        report.num_held_out = Counter(a.document.source for a in routing.held_out)
        report.num_diverted = Counter(a.document.source for a in routing.diverted)
        if arrivals:
            state.held_out.keep(routing, random_for(self._seed, report.step, "held-out"))


def route(state: State, arrivals: Sequence[Arrival], released: str | None = None) -> Routing:
    """Which arrivals a step learns, and which not; changes nothing yet."""
    ordered = in_order(arrivals)
    if released is not None:
        return state.held_out.route(ordered)._replace(released=released)
    kept, diverted = state.quarantine.divert(ordered)
    return state.held_out.route(kept)._replace(diverted=diverted)


def pass_over(state: State, arrivals: Sequence[Arrival]) -> None:
    """These are dealt with: what comes of their partitions next lies behind them."""
    progress = state.progress
    for arrival in arrivals:
        partition = arrival.partition
        progress.marks[partition] = max(progress.marks.get(partition, -1), arrival.raw_offset)
        progress.next_clean[partition] = max(
            progress.next_clean.get(partition, 0), arrival.clean_offset + 1
        )
