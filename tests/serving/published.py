"""A real version store with versions of a very small model, and what each of them answers.

The weights are random and wide (std 0.5): each version says something else, and two logits are
hardly ever nearly equal.
"""

import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from riverrun.model import tiny
from riverrun.model.decoder import Decoder
from riverrun.model.files import save_tensors
from riverrun.store import Deferral, Manifest, VersionStore, version_id
from riverrun.tokenizer import Tokenizer

CONFIG = msgspec.structs.replace(
    tiny.CONFIG,
    hidden_size=32,
    num_layers=2,
    head_dim=8,
    intermediate_size=64,
    max_positions=256,
)
MODEL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


class Published:
    """Publishes into the store below `root`, and computes by the full forward what is right."""

    def __init__(self, root: Path) -> None:
        files = root / "model-files"
        files.mkdir(parents=True)
        tiny.write(files)
        (files / "config.json").write_bytes(CONFIG.to_hf())
        self.root = root
        self.store = VersionStore(str(root / "store"))
        self.store.put_model([files / name for name in MODEL_FILES])
        self.tokenizer = Tokenizer(files)
        self.models: dict[str, Decoder] = {}
        self._lock = threading.Lock()

    def model(self, seed: int) -> Decoder:
        decoder = Decoder(CONFIG).requires_grad_(False)
        decoder.initialise(torch.Generator().manual_seed(seed), std=0.5)
        return decoder

    def publish(
        self,
        step: int,
        *,
        promote: bool = True,
        dtype: torch.dtype = torch.float32,
        decoder: Decoder | None = None,
        newest_ms: int | None = None,
        parent: str | None = None,
        run: str = "test",
        deferral: Deferral | None = None,
    ) -> str:
        """The version `step`, whose weights are those of the seed `step` unless given."""
        decoder = decoder or self.model(step)
        tensors = {name: t.detach().to(dtype) for name, t in decoder.state_dict().items()}
        version = self.publish_tensors(
            step, tensors, newest_ms=newest_ms, parent=parent, run=run, deferral=deferral
        )
        served = Decoder(CONFIG).requires_grad_(False)
        served.load_state_dict(tensors)
        with self._lock:
            self.models[version] = served
        if promote:
            self.store.promote(version)
        return version

    def publish_tensors(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        *,
        newest_ms: int | None = None,
        parent: str | None = None,
        run: str = "test",
        deferral: Deferral | None = None,
    ) -> str:
        """Whatever these are; not promoted."""
        digest = hashlib.sha256(str(step).encode()).hexdigest()

        def describe(sha256: str, num_bytes: int) -> Manifest:
            return Manifest(
                version=version_id(run, step, sha256),
                parent=parent,
                run=run,
                step=step,
                created_ms=int(time.time() * 1000),
                model="tiny",
                config_hash=digest,
                sha256=sha256,
                num_bytes=num_bytes,
                offsets={0: step * 10},
                learned=[],
                num_documents=step,
                num_tokens=step,
                newest_ms=newest_ms,
                metrics={"loss": 1.5},
                deferral=deferral,
            )

        return self.store.publish(lambda path: save_tensors(tensors, path), describe).version

    def put_origin(self, seed: int) -> str:
        """The weights of the seed, for versions to defer to; `models` has them by their SHA-256."""
        decoder = self.model(seed)
        tensors = {name: t.detach() for name, t in decoder.state_dict().items()}
        sha256 = self.store.put_origin(lambda path: save_tensors(tensors, path))
        self.models[sha256] = decoder
        return sha256

    @property
    def live(self) -> str:
        """The version that is promoted."""
        version = self.store.promoted()
        assert version is not None
        return version

    @torch.inference_mode()
    def logprobs(self, version: str, tokens: list[int]) -> list[float]:
        """Of each token but the first."""
        logprobs_TV = self.models[version](torch.tensor([tokens]))[0].log_softmax(-1)
        return [float(logprobs_TV[i, token]) for i, token in enumerate(tokens[1:])]

    def greedy(self, version: str, prompt: str, max_tokens: int) -> str:
        """What `version` answers, one full forward without a cache for each token."""
        return self.tokenizer.decode(self.greedy_ids(version, prompt, max_tokens))

    def greedy_ids(self, version: str, prompt: str, max_tokens: int) -> list[int]:
        return self.greedy_after(version, self.tokenizer.encode(prompt), max_tokens)

    @torch.inference_mode()
    def greedy_after(self, version: str, tokens: list[int], max_tokens: int) -> list[int]:
        answer: list[int] = []
        for _ in range(max_tokens):
            logits_BTV = self.models[version](torch.tensor([tokens + answer]))
            token = int(logits_BTV[0, -1].argmax())
            if token in self.tokenizer.eos_ids:
                break
            answer.append(token)
        return answer
