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
import numpy as np

from learner.arrival import Arrival
from learner.assembly import Assembly
from learner.checkpoint import Checkpoints
from learner.content import content_of, num_bytes_of, told
from learner.identity import FORMAT, Identity, hash_of_weights, new_run, settle
from learner.machine import differences, this_machine
from learner.memory import HOST
from learner.origin import Origin
from learner.pretrain.corpus import Corpus
from learner.pretrain.curve import Curve, Point, write_lines
from learner.pretrain.output import begin, write_model
from learner.pretrain.plan import Plan, recipe_of
from learner.publish import published_weights
from learner.recipe import Kind
from learner.seeds import random_for
from learner.start import fix_arithmetic
from learner.state_parts import Numbers
from learner.step import StepReport
from learner.watch.surprise import Surprise, wearing
from riverrun.device import device_of, has_bfloat16
from riverrun.errors import CheckpointError, DataDirInUse, InvalidValue
from riverrun.model.zoo import locate
from riverrun.settings import Settings
from riverrun.tokenizer import Tokenizer
from riverrun.workspace import replace_file

LEAST_POINTS, MOST_POINTS = 5, 40
"""Of the curve, the untrained model's and the last one among them."""
EVALUATION_SHARE = 0.06
"""Held-out bytes of all points as a share of the bytes trained on: a forward pass is a third of a
step, so that the curve of all but short runs costs about a fiftieth."""
LEAST_EVALUATION_BYTES, MOST_EVALUATION_BYTES = 4096, 262_144
KEEP_CHECKPOINTS = 2
DONE = "done.json"

log = logging.getLogger(__name__)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is after a step. share: of all of it. left_s: None before it can be told."""

    step: int
    share: float
    epoch: float
    num_tokens: int
    loss: float
    tokens_per_s: float
    left_s: float | None
    point: Point | None = None
    findings: list[str] = []


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
        fix_arithmetic(settings.learner.num_threads)
        device = device_of(settings.device)
        seed = settings.learner.seed
        self._plan, self._output, self._seed = plan, output, seed
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
        self._num_points, num_bytes = self._evaluation()
        self._held_out = self.corpus.held_out(num_bytes)
        self.identity = settle(
            self._training,
            Identity(
                run=new_run(),
                format=FORMAT,
                model=settings.model,
                weights=hash_of_weights(model),
                topic=f"corpus {self.corpus.facts.sha256[:16]}",
                seed=seed,
                recipe=recipe,
            ),
        )
        self._checkpoints = Checkpoints(self._training / "checkpoints", KEEP_CHECKPOINTS)
        self._interval_s = settings.learner.checkpoint_interval_s
        self._order: tuple[int, np.ndarray] | None = None
        head = self._checkpoints.restore_newest(self.state, self.identity)
        for difference in differences(head.machine, this_machine(device)) if head else []:
            log.warning("the bits will not be those of an uninterrupted run: %s", difference)
        self.began_at = self.state.progress.step

    def run(self, stop: threading.Event, tell: Callable[[Moment], None]) -> Outcome | None:
        """To the end; None when `stop` was set before, with a checkpoint to go on from."""
        try:
            if not self.curve.points:
                self._measure(self._stepper.recipe.lr)
            speed = Speed(self._share())
            checkpoint_at = time.monotonic() + self._interval_s
            while self._share() < 1.0:
                report = self._stepper.step(self.state, self._documents(), is_stopping=stop.is_set)
                if report is None:
                    break
                point = self._see(report)
                tell(self._moment(report, point, speed))
                self._checkpoints.finished()
                if time.monotonic() >= checkpoint_at and not self._checkpoints.is_writing:
                    self._checkpoints.begin(self.state, self.identity)
                    checkpoint_at = time.monotonic() + self._interval_s
            self._checkpoints.write(self.state, self.identity)
            return self._finish() if self._share() >= 1.0 else None
        finally:
            self._checkpoints.close()
            self.corpus.close()

    # What a step learns

    @property
    def _position(self) -> int:
        """Pieces taken."""
        return self.state.progress.num_documents

    @property
    def _last(self) -> int | None:
        epochs = self._plan.epochs
        return None if epochs is None else epochs * len(self.corpus)

    def _share(self) -> float:
        """Of the whole run that is done."""
        shares = [0.0]
        if self._last is not None:
            shares.append(self._position / self._last)
        if self._plan.tokens is not None:
            shares.append(self.state.progress.num_tokens / self._plan.tokens)
        return min(1.0, max(shares))

    def _documents(self) -> list[Arrival]:
        """The next pieces, up to a step's size."""
        limit = self._stepper.recipe.max_step_tokens
        arrivals: list[Arrival] = []
        num_tokens = 0
        while self._last is None or self._position + len(arrivals) < self._last:
            arrival = self.corpus.arrival(self._number(self._position + len(arrivals)))
            num_tokens += self._framing.num_tokens(content_of(arrival.document))
            if arrivals and num_tokens > limit:
                break
            arrivals.append(arrival)
        return arrivals

    def _number(self, position: int) -> int:
        """Which piece is taken as number `position`: each once an epoch, in an order of its own."""
        epoch, place = divmod(position, len(self.corpus))
        if self._plan.in_order:
            return place
        if self._order is None or self._order[0] != epoch:
            order = random_for(self._seed, epoch, "order of the pieces")
            self._order = epoch, order.permutation(len(self.corpus))
        return int(self._order[1][place])

    # What is told of it

    def _see(self, report: StepReport) -> Point | None:
        """A point of the curve, where one is due."""
        num_new = report.num_tokens["new"]
        self.curve.see(report.loss, num_new)
        due = int(self._share() * (self._num_points - 1))
        return self._measure(report.rate) if due >= len(self.curve.points) else None

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
            epoch=self._position / len(self.corpus),
            rate=rate,
            training_loss=self.curve.training_loss(),
            held_out_loss=nats_a_token,
            held_out_bits_per_byte=bits_a_byte,
        )
        self.curve.points.append(point)
        write_lines(self._output / "curve.jsonl", self.curve.points)
        return point

    def _moment(self, report: StepReport, point: Point | None, speed: "Speed") -> Moment:
        share = self._share()
        speed.see(sum(report.num_tokens.values()))
        # A shuffled corpus has no course of its own that could drift.
        findings = [
            f"{found.kind}, {found.subject}" for found in report.findings if found.kind != "drift"
        ]
        return Moment(
            step=report.step,
            share=share,
            epoch=self._position / len(self.corpus),
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
            num_pieces=self._position,
            last=self.curve.points[-1],
        )
        replace_file(self._training / DONE, msgspec.json.format(msgspec.json.encode(outcome)))
        for directory in ("checkpoints", "corpus"):
            shutil.rmtree(self._training / directory, ignore_errors=True)
        return outcome

    def _evaluation(self) -> tuple[int, int]:
        """How many points the curve has, and the held-out bytes of each."""
        plan = self._plan
        trained = math.inf if plan.epochs is None else plan.epochs * self.corpus.facts.num_bytes
        if plan.tokens is not None:
            content = content_of(self.corpus.arrival(0).document)
            bytes_a_token = num_bytes_of(told(content)) / self._framing.num_tokens(content)
            trained = min(trained, plan.tokens * bytes_a_token)
        affordable = trained * EVALUATION_SHARE
        num_points = int(affordable / LEAST_EVALUATION_BYTES)
        num_points = min(max(num_points, LEAST_POINTS), MOST_POINTS)
        num_bytes = int(affordable / num_points)
        return num_points, min(max(num_bytes, LEAST_EVALUATION_BYTES), MOST_EVALUATION_BYTES)

    def _set_curve(self, curve: Curve) -> None:
        self.curve = curve


class Speed:
    """Of this process: a run that goes on does not count the time in which it lay still."""

    def __init__(self, share: float) -> None:
        self._began_at = time.monotonic()
        self._share = share
        self.tokens_per_s = 0.0
        self._seen_at = self._began_at

    def see(self, num_tokens: int) -> None:
        """A running mean over about the last ten seconds."""
        now = time.monotonic()
        took_s = max(1e-9, now - self._seen_at)
        self._seen_at = now
        speed = num_tokens / took_s
        kept = math.exp(-took_s / 10) if self.tokens_per_s else 0.0
        self.tokens_per_s = kept * self.tokens_per_s + (1 - kept) * speed

    def left_s(self, share: float) -> float | None:
        done = share - self._share
        if done <= 0:
            return None
        return (time.monotonic() - self._began_at) * (1 - share) / done
