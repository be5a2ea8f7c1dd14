"""Decode speed of the engine against transformers' `generate` in fp32, and against its own limit.

Both decode the same prompts greedily on the same threads, in turn, round by round, and never end
early; ratios are taken in each round, and their medians are given. The whole engine runs:
scheduler, cache, sampling and text, only not the socket. The limit, held against the median step,
is what its matrix products alone take at the same batch: every projection in the form that is
served (with the cutting of activations that int8 products need), and attention's two products over
the mean number of columns. `vs_projections` leaves attention's out.

Called by `riverrun bench decode`, and in part by `bench/decode_loops.py`.
"""

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from prometheus_client import CollectorRegistry

from riverrun.metrics import ServingMetrics
from riverrun.model.config import ModelConfig
from riverrun.model.files import load_config
from riverrun.model.zoo import locate
from riverrun.store import Manifest
from riverrun.tokenizer import Tokenizer
from serving.answer_text import AnswerText
from serving.cache import SlottedCache
from serving.engine import Deliveries, Engine
from serving.lean_model import LeanModel
from serving.precision import PrecisionSetting, choose
from serving.prefill import prefill_tokens
from serving.runner import Runner
from serving.sequence import Sequence
from serving.slots import Slots
from serving.tally import Tally
from serving.weights import load_into

PROMPT_TOKENS = 32
NEW_TOKENS = 33
CONTEXT_TOKENS = 128


Clock = Callable[[], float]
"""Seconds, of the wall or of the processor."""


class Speed(msgspec.Struct, frozen=True):
    """One model at one batch; medians over the rounds."""

    tokens_per_s: float
    vs_transformers: float
    vs_limit: float
    vs_projections: float
    first_token_s: float
    """The mean over the rows, which come in all at once."""
    first_token_vs_transformers: float
    """Their time by ours: above 1, ours comes sooner."""


class ModelSpeed(msgspec.Struct, frozen=True):
    precision: str
    batches: dict[str, Speed]


class Result(msgspec.Struct, frozen=True):
    threads: int
    prompt_tokens: int
    new_tokens: int
    rounds: int
    models: dict[str, dict[str, Speed]]
    """By the model's name and the batch."""
    precisions: dict[str, str]


def run(
    models: list[str],
    batches: list[int],
    *,
    rounds: int,
    threads: int,
    precision: PrecisionSetting,
    tell: Callable[[str, str, int, Speed], None],
) -> Result:
    """Measure each model at each batch; `tell` hears of each as it is there.

    Raises:
        UnknownModel, ModelError: a model that is not to be had.
        InvalidValue: a precision that this machine cannot serve.
    """
    torch.set_num_threads(threads)
    found: dict[str, ModelSpeed] = {}
    for name in models:
        directory = locate(name)
        config = load_config(directory)
        form = choose(config, precision, torch.device("cpu"))
        speeds = {}
        with torch.inference_mode():
            ours = Ours(directory, config, form, max(batches))
            theirs = _Theirs(directory)
            for batch in batches:
                speeds[str(batch)] = speed = _measured(ours, theirs, batch, rounds)
                tell(name, form, batch, speed)
        found[name] = ModelSpeed(form, speeds)
        del ours, theirs
        gc.collect()
    return Result(
        threads,
        PROMPT_TOKENS,
        NEW_TOKENS,
        rounds,
        {name: speed.batches for name, speed in found.items()},
        {name: speed.precision for name, speed in found.items()},
    )


def _measured(ours: "Ours", theirs: "_Theirs", batch: int, rounds: int) -> Speed:
    prompts = torch.randint(
        0, 256, (batch, PROMPT_TOKENS), generator=torch.Generator().manual_seed(batch)
    )
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        their_first, their_token = theirs.decode(prompts)
        our_first, our_token, our_step = ours.decode(prompts.tolist())
        projections, attention = ours.limit(batch)
        if number == 0:
            # Both have warmed up.
            continue
        for name, value in {
            "tokens_per_s": batch / our_token,
            "vs_transformers": their_token / our_token,
            "vs_limit": (projections + attention) / our_step,
            "vs_projections": projections / our_step,
            "first_token_s": our_first,
            "first_token_vs_transformers": their_first / our_first,
        }.items():
            taken.setdefault(name, []).append(value)
    return Speed(**{name: statistics.median(values) for name, values in taken.items()})


class Ours:
    """An engine, stepped by hand."""

    def __init__(self, directory: Path, config: ModelConfig, form: Any, max_rows: int) -> None:
        self._config = config
        self._tokenizer = Tokenizer(directory)
        self._slots = Slots(config, num_slots=1, precision=form)
        slot = self._slots.stage(0.0)
        assert slot is not None
        load_into(slot.model, directory / "model.safetensors", directory.name)
        self._model: LeanModel = slot.model
        cache = SlottedCache(config, max_rows=max_rows, context_tokens=CONTEXT_TOKENS)
        self._cache = cache
        self._engine = Engine(
            self._slots,
            cache,
            Tally(ServingMetrics(CollectorRegistry())),
            eos_ids=(),
            deliver=_ignore,
            on_swap=lambda _: None,
            max_waiting=max_rows,
            prefill_tokens=prefill_tokens(config, None),
            chunk_interval_s=0.02,
            reuse_prefixes=False,
        )
        self._engine.offer(_manifest(directory.name))

    @property
    def runner(self) -> Runner:
        return self._engine._runner

    def decode(
        self, prompts: list[list[int]], clock: Clock = time.perf_counter
    ) -> tuple[float, float, float]:
        """Seconds to a row's first token, the mean over rows; and, once all have theirs, for one
        token of every row, the mean and the median."""
        with _no_collection():
            started = clock()
            sequences = [
                Sequence(
                    tokens=prompt,
                    max_tokens=NEW_TOKENS,
                    text=AnswerText(self._tokenizer, ()),
                    sink=lambda _: None,
                )
                for prompt in prompts
            ]
            for sequence in sequences:
                self._engine.submit(sequence)
            firsts: list[float] = []
            while len(firsts) < len(sequences):
                self._engine.step()
                num_new = sum(sequence.num_generated > 0 for sequence in sequences) - len(firsts)
                firsts += [clock() - started] * num_new
            first = statistics.mean(firsts)
            steps: list[float] = []
            # Until the first row ends, every step gives all of them a token.
            while all(sequence.num_generated < NEW_TOKENS for sequence in sequences):
                started = clock()
                self._engine.step()
                steps.append(clock() - started)
        while self._engine.num_rows:
            self._engine.step()
        return first, statistics.mean(steps), statistics.median(steps)

    def limit(self, batch: int, clock: Clock = time.perf_counter) -> tuple[float, float]:
        """Seconds of one step's projections alone, and of attention's products."""
        config, model = self._config, self._model
        x_ND = torch.randn(batch, config.hidden_size)
        seen_ND = torch.randn(batch, config.num_heads * config.head_dim)
        act_NI = torch.randn(batch, config.intermediate_size)
        heads = batch * config.num_key_value_heads
        query_BGE = torch.randn(heads, config.num_heads // config.num_key_value_heads,
                                config.head_dim)  # fmt: skip
        seen = -(-(PROMPT_TOKENS + NEW_TOKENS // 2) // 16) * 16
        weights_BGS = torch.rand(heads, query_BGE.shape[1], max(64, seen))
        bias_B1S = torch.zeros(heads, 1, weights_BGS.shape[2])
        out_BGE = torch.empty_like(query_BGE)
        times = []
        attention = []
        for _ in range(5):
            sum_ND, scale_N1 = torch.zeros_like(x_ND), torch.ones(batch, 1)
            started = clock()
            for layer in model.layers:
                layer.qkv.of_scaled(x_ND, scale_N1)
                layer.out.add_to(sum_ND, seen_ND)
                layer.gate_up.of_scaled(x_ND, scale_N1)
                layer.down.add_to(sum_ND, act_NI)
            model.logits(x_ND)
            times.append(clock() - started)
            started = clock()
            for keys, values in zip(self._cache.keys_L, self._cache.values_L, strict=True):
                keys_BES = keys[:heads, : bias_B1S.shape[2]].transpose(1, 2)
                torch.baddbmm(bias_B1S, query_BGE, keys_BES, alpha=self._cache.scale)
                torch.bmm(weights_BGS, values[:heads, : bias_B1S.shape[2]], out=out_BGE)
            attention.append(clock() - started)
        return statistics.median(times), statistics.median(attention)


class _Theirs:
    """transformers' greedy `generate`, in fp32."""

    def __init__(self, directory: Path) -> None:
        library: Any = importlib.import_module("transformers")
        library.utils.logging.disable_progress_bar()
        made = library.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self._model = made.eval()
        self._configuration = library.GenerationConfig

    def decode(self, prompts: torch.Tensor) -> tuple[float, float]:
        """Seconds to the first tokens, and from then on for one token of every row, the mean."""
        first = self._seconds(prompts, 1)
        return first, (self._seconds(prompts, NEW_TOKENS) - first) / (NEW_TOKENS - 1)

    def _seconds(self, prompts: torch.Tensor, num_tokens: int) -> float:
        configuration = self._configuration(
            max_new_tokens=num_tokens, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        with _no_collection():
            started = time.perf_counter()
            made = self._model.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                generation_config=configuration,
            )
            taken = time.perf_counter() - started
        assert made.shape[1] == prompts.shape[1] + num_tokens
        return taken


def _ignore(_: Deliveries) -> None:
    return None


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _manifest(model: str) -> Manifest:
    return Manifest(
        version="bench",
        parent=None,
        run="bench",
        step=0,
        created_ms=0,
        model=model,
        config_hash="",
        sha256="",
        num_bytes=0,
        offsets={},
        learned=[],
        num_documents=0,
        num_tokens=0,
        newest_ms=None,
        metrics={},
    )
