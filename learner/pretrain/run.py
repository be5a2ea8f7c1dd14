"""The steps of a pretraining: from a frozen corpus to a model's directory.

The step is the learner's own, and so is the checkpoint. What a step learns follows from the seed
and from how many pieces were taken before it, so a run needs no journal: whatever killed it, it
goes on from its last checkpoint and arrives at the bits of a run that nothing killed.

    OUTPUT/config.json, model.safetensors, tokenizer.json …   the model, written at the end
    OUTPUT/curve.jsonl, curve.png                             held-out loss on the way there
    OUTPUT/training/                                          what it goes on from; small when done

Knows nothing of Kafka, the stream or the terminal. Called by `riverrun pretrain`.
"""

import contextlib
import fcntl
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from learner.assembly import Assembly
from learner.checkpoint import Checkpoints
from learner.content import content_of, num_bytes_of, told
from learner.identity import of_new_run, settle
from learner.machine import differences, fix_arithmetic, this_machine
from learner.memory import HOST
from learner.origin import Origin
from learner.pretrain.corpus import Corpus
from learner.pretrain.course import Course, position_of
from learner.pretrain.curve import Curve, Point, write_lines
from learner.pretrain.moment import Moment, Speed
from learner.pretrain.output import begin, write_model
from learner.pretrain.plan import Plan, recipe_of
from learner.publish import published_weights
from learner.recipe import Kind
from learner.seeds import random_for
from learner.state_parts import Numbers
from learner.step_report import StepReport
from learner.threads import num_cores
from learner.watch.surprise import Surprise, wearing
from riverrun.device import device_of, has_bfloat16
from riverrun.errors import CheckpointError, DataDirInUse, InvalidValue
from riverrun.model.zoo import locate
from riverrun.settings import Settings
from riverrun.tokenizer import Tokenizer
from riverrun.workspace import replace_file

KEEP_CHECKPOINTS = 2
DONE = "done.json"

log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of a run that has come to its end."""

    run: str
    num_steps: int
    num_tokens: int
    num_pieces: int
    last: Point


@contextlib.contextmanager
def held(training: Path) -> Iterator[None]:
    """One process at a time. Raises DataDirInUse."""
    training.mkdir(parents=True, exist_ok=True)
    with (training / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirInUse(f"another pretraining writes to {training.parent}") from error
        yield


def outcome_in(training: Path) -> Outcome | None:
    """Of a pretraining that is done."""
    try:
        return msgspec.json.decode((training / DONE).read_bytes(), type=Outcome)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{training / DONE} is damaged: {error}") from error


class Pretraining:
    """One run, from where it stands to its end. `output` has a plan and a corpus.

    Raises InvalidValue for settings that it cannot do, CheckpointError for a checkpoint of others.
    """

    def __init__(
        self, settings: Settings, plan: Plan, output: Path, *, is_fresh: bool = False
    ) -> None:
        fix_arithmetic(settings.learner.num_threads or num_cores())
        device = device_of(settings.device)
        seed = settings.learner.seed
        self._output = output
        self._training = output / "training"
        self._beginning = locate(settings.model)
        model, is_scratch = begin(self._beginning, seed, device, is_fresh=is_fresh)
        kind: Kind = "scratch" if is_scratch or settings.model == "tiny" else "pretrained"
        recipe = recipe_of(settings.learner, kind, has_bfloat16=has_bfloat16(device))
        self.corpus = Corpus(self._training / "corpus")
        assembly = Assembly(recipe, seed, model, Tokenizer(self._beginning), HOST, settings.watch)
        if assembly.strategy.uses_origin:
            raise InvalidValue(
                "learner.strategy", recipe.strategy, "one without `origin` for pretraining"
            )
        self.state, self._framing = assembly.state, assembly.framing
        self.curve = Curve()
        self.state.add_part("curve", Numbers(lambda: self.curve, self._set_curve))
        self._stepper = assembly.stepper(Origin.empty())
        self._surprise = Surprise(self._framing, recipe)
        self._course = Course(self.corpus, plan, self._framing, seed)
        self._held_out = self.corpus.held_out(self._course.evaluation_bytes)
        self.identity = settle(
            self._training,
            of_new_run(
                settings.model,
                model,
                self._beginning,
                f"corpus {self.corpus.facts.sha256[:16]}",
                seed,
                recipe,
            ),
        )
        self._checkpoints = Checkpoints(self._training / "checkpoints", KEEP_CHECKPOINTS)
        self._interval_s = settings.learner.checkpoint_interval_s
        head = self._checkpoints.restore_newest(self.state, self.identity)
        for difference in differences(head.machine, this_machine(device)) if head else []:
            log.warning("the bits will not be those of an uninterrupted run: %s", difference)
        self.began_at = self.state.progress.step

    def run(self, stop: threading.Event, tell: Callable[[Moment], None]) -> Outcome | None:
        """To the end; None when `stop` was set before, with a checkpoint to go on from."""
        try:
            if not self.curve.points:
                self._measure(self._stepper.recipe.lr)
            most_tokens = self._stepper.recipe.max_step_tokens
            speed = Speed(self._share)
            checkpoint_at = time.monotonic() + self._interval_s
            while self._share < 1.0:
                documents = self._course.documents(self.state.progress, most_tokens)
                report = self._stepper.step(self.state, documents, is_stopping=stop.is_set)
                if report is None:
                    break
                point = self._see(report)
                tell(self._moment(report, point, speed))
                self._checkpoints.finished()
                if time.monotonic() >= checkpoint_at and not self._checkpoints.is_writing:
                    self._checkpoints.begin(self.state, self.identity)
                    checkpoint_at = time.monotonic() + self._interval_s
            self._checkpoints.write(self.state, self.identity)
            return self._finish() if self._share >= 1.0 else None
        finally:
            self._checkpoints.close()
            self.corpus.close()

    @property
    def _share(self) -> float:
        return self._course.share(self.state.progress)

    def _see(self, report: StepReport) -> Point | None:
        """A point of the curve, where one is due."""
        num_new = report.num_tokens["new"]
        self.curve.see(report.loss, num_new)
        is_due = self._course.is_point_due(self.state.progress, len(self.curve.points))
        return self._measure(report.rate) if is_due else None

    def _measure(self, rate: float) -> Point:
        nats_a_token = bits_a_byte = None
        if self._held_out:
            contents = [content_of(document) for document in self._held_out]
            with wearing(self.state.model, published_weights(self.state)):
                nats = sum(self._surprise.nats(self.state.model, contents))
            num_tokens = sum(
                example.num_targets
                for content in contents
                for example in self._framing.examples(content, 0, random_for(0, 0, "length"))
            )
            nats_a_token = nats / num_tokens
            bits_a_byte = nats / math.log(2) / sum(num_bytes_of(told(one)) for one in contents)
        point = Point(
            step=self.state.progress.step,
            num_tokens=self.state.progress.num_tokens,
            epoch=self._course.epoch(self.state.progress),
            rate=rate,
            training_loss=self.curve.training_loss(),
            held_out_loss=nats_a_token,
            held_out_bits_per_byte=bits_a_byte,
        )
        self.curve.points.append(point)
        write_lines(self._output / "curve.jsonl", self.curve.points)
        return point

    def _moment(self, report: StepReport, point: Point | None, speed: Speed) -> Moment:
        share = self._share
        speed.see(sum(report.num_tokens.values()))
        # A shuffled corpus has no course of its own that could drift.
        findings = [
            f"{found.kind}, {found.subject}" for found in report.findings if found.kind != "drift"
        ]
        return Moment(
            step=report.step,
            share=share,
            epoch=self._course.epoch(self.state.progress),
            num_tokens=self.state.progress.num_tokens,
            loss=report.loss,
            tokens_per_s=speed.tokens_per_s,
            left_s=speed.left_s(share),
            point=point,
            findings=findings,
        )

    def _finish(self) -> Outcome:
        if self.curve.points[-1].step != self.state.progress.step:
            self._measure(self.curve.points[-1].rate)
        write_lines(self._output / "curve.jsonl", self.curve.points)
        write_model(self.state, self._beginning, self._output)
        outcome = Outcome(
            run=self.identity.run,
            num_steps=self.state.progress.step,
            num_tokens=self.state.progress.num_tokens,
            num_pieces=position_of(self.state.progress),
            last=self.curve.points[-1],
        )
        replace_file(self._training / DONE, msgspec.json.format(msgspec.json.encode(outcome)))
        for directory in ("checkpoints", "corpus"):
            shutil.rmtree(self._training / directory, ignore_errors=True)
        return outcome

    def _set_curve(self, curve: Curve) -> None:
        self.curve = curve
