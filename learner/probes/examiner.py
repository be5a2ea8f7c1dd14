"""Control text with each candidate, probe groups in turn, as far as the gate's time allows.

What the untouched model scores is measured once, before anything is learned, and kept beside the
checkpoints: all that follows is held against it. A model that starts from nothing knows nothing
that the built-in groups ask, and no control text; it is asked an operator's own files only.

A group that is due and cannot be paid for is skipped, and counted. Knows nothing of rules. Called
by `gate.py`.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from torch import Tensor

from learner.entries import Ability
from learner.gate.gate import Examined
from learner.gate.purse import Purse
from learner.guard import Guard, unguarded
from learner.probes import abilities
from learner.probes.deferring import Sheet, prose_scores, scores, sheet_of
from learner.probes.scoring import Scorer, passed
from learner.probes.tasks import GENERAL, Groups, Prose, Task, key_of
from learner.state import State
from learner.watch.surprise import wearing
from riverrun.errors import CheckpointError
from riverrun.metrics import LearnerMetrics
from riverrun.model.decoder import Decoder
from riverrun.workspace import replace_file

FILE = "probes.json"
LEAST_KNOWN = 5
"""Tasks that the untouched model has to pass before a share of them says anything."""

log = logging.getLogger(__name__)


class Untouched(msgspec.Struct):
    """What the model knew before its first step, by the key of a group's tasks."""

    sheets: dict[str, Sheet] = {}


class Examiner:
    """groups: by name. control: texts, as tasks."""

    def __init__(
        self,
        scorer: Scorer,
        groups: Groups,
        control: Sequence[Prose],
        interval_s: float,
        metrics: LearnerMetrics,
        skipped: Sequence[str] = (),
        margin: float = 0.0,
    ) -> None:
        """skipped: built-in groups that are not asked, since the model starts from nothing.
        margin: by which candidates defer to the untouched model; 0 where they do not."""
        self._scorer = scorer
        self._groups = groups
        self._control = list(control)
        self.always: Mapping[str, float] = (
            {"control": scorer.num_tokens(self._control)} if control else {}
        )
        self._interval_s = interval_s
        self._metrics = metrics
        self._margin = margin
        self._is_scratch = bool(skipped)
        self._untouched = Untouched()
        self._due_at = dict.fromkeys(groups, 0.0)
        for group in skipped:
            metrics.gate.probes_skipped.labels(group, "scratch").inc()

    def prepare(self, directory: Path, model: Decoder, guard: Guard = unguarded) -> None:
        """Know what the untouched `model` scores: from `directory`, or measured now."""
        path = directory / FILE
        sets: list[Sequence[Task]] = [self._control, *self._groups.values()]
        try:
            self._untouched = msgspec.json.decode(path.read_bytes(), type=Untouched)
        except FileNotFoundError:
            self._untouched = Untouched()
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{path} is damaged, remove it: {error}") from error
        missing = [tasks for tasks in sets if tasks and key_of(tasks) not in self._untouched.sheets]
        if not missing:
            return
        for tasks in missing:
            self._untouched.sheets[key_of(tasks)] = sheet_of(self._scorer, model, tasks)
        replace_file(path, msgspec.json.encode(self._untouched), guard=guard)

    def examine(self, state: State, weights: Mapping[str, Tensor], purse: Purse) -> Examined:
        """Of the candidate's `weights`: the control text, and a group that is due."""
        found = Examined({}, {})
        if self._control:
            found.numbers.update(self._on_control(state, weights, purse))
        for group in self._due():
            tasks = self._groups[group]
            if not purse.affords({"probe": self._scorer.num_tokens(tasks), "copy": 1}):
                self._metrics.gate.probes_skipped.labels(group, "time").inc()
                self._due_at[group] = time.monotonic() + self._interval_s
                continue
            self._due_at[group] = time.monotonic() + self._interval_s
            self._look(state, weights, group, purse, found)
            break
        return found

    def _on_control(
        self, state: State, weights: Mapping[str, Tensor], purse: Purse
    ) -> dict[str, float]:
        untouched = self._untouched.sheets[key_of(self._control)]
        num_tokens = self._scorer.num_tokens(self._control)
        with purse.paying("control", num_tokens), wearing(state.model, weights):
            now = prose_scores(self._scorer, state.model, self._control, untouched, self._margin)
        before = _mean(untouched.scores)
        return {
            "control_ratio": math.exp(min(_mean(now.served) - before, 20.0)),
            "learned_control_ratio": math.exp(min(_mean(now.learned) - before, 20.0)),
        }

    def _due(self) -> list[str]:
        """Those that waited longest first."""
        now = time.monotonic()
        return sorted((g for g, at in self._due_at.items() if at <= now), key=self._due_at.get)  # type: ignore[arg-type]

    def _look(
        self,
        state: State,
        weights: Mapping[str, Tensor],
        group: str,
        purse: Purse,
        found: Examined,
    ) -> None:
        tasks = self._groups[group]
        untouched = self._untouched.sheets[key_of(tasks)].scores
        outcomes = passed(tasks, self._run(state, weights, tasks, purse), untouched)
        at_first = passed(tasks, untouched, untouched)
        known = state.gate.facts.abilities
        before = known.get(group) or Ability(at_first, at_first)
        if len(before.passed) != len(outcomes):
            # The file was changed: it is another group now.
            before = Ability(at_first, at_first)
        after = abilities.look(before, outcomes)
        lost, gained = abilities.changes(before.passed, outcomes)
        found.numbers[f"share.{group}"] = outcomes.count("1") / len(outcomes)
        num_known = at_first.count("1")
        # What a model that starts from nothing passes, it passes by chance.
        if num_known >= LEAST_KNOWN and not self._is_scratch:
            found.numbers[f"kept.{group}"] = outcomes.count("1") / num_known
        found.numbers[f"lost.{group}"] = float(lost) if after.is_lost else 0.0
        found.numbers[f"gained.{group}"] = float(gained) if after.is_gained else 0.0
        found.abilities[group] = after
        if after.is_gained or after.is_newly_lost:
            what = "came" if after.is_gained else "went"
            log.warning("an ability %s: %s, %d gained, %d lost", what, group, gained, lost)
        self._general(known | found.abilities, found)

    def _general(self, known: Mapping[str, Ability], found: Examined) -> None:
        """Of the general tasks passed by the untouched model, how many are passed now, of all
        groups that were run: gains in one make up for losses in another."""
        before = now = 0
        for group in GENERAL:
            tasks = self._groups.get(group)
            if tasks is None or group not in known:
                continue
            untouched = self._untouched.sheets[key_of(tasks)].scores
            before += passed(tasks, untouched, untouched).count("1")
            now += known[group].latest.count("1")
        if before >= LEAST_KNOWN:
            found.numbers["general_share"] = now / before
            found.numbers["general_tasks"] = float(before)

    def _run(
        self,
        state: State,
        weights: Mapping[str, Tensor],
        tasks: Sequence[Task],
        purse: Purse,
    ) -> list[float]:
        untouched = self._untouched.sheets[key_of(tasks)]
        with purse.paying("probe", self._scorer.num_tokens(tasks)), wearing(state.model, weights):
            return scores(self._scorer, state.model, tasks, untouched, self._margin)


def _mean(scores: Sequence[float]) -> float:
    """Nats a token, each text the same."""
    return sum(scores) / len(scores)
