"""What the bits of a step depend on besides state, documents and seed.

torch adds up in an order that follows the processor's vector width and the number of threads, so
the same step may differ in its last bits elsewhere; with both fixed it does not. Journal and
checkpoints say where they were made; when weights differ after a replay, this is the first thing
to look at.
"""

import platform

import msgspec
import torch

from learner import workers


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """capability: the instruction set that torch chose, or the GPU's name."""

    torch: str
    device: str
    capability: str
    num_threads: int
    processor: str


def fix_arithmetic(num_threads: int) -> None:
    """Let so many threads compute the same bits each time."""
    workers.share_out(num_threads)
    torch.use_deterministic_algorithms(True)
    # It would also fill all fresh memory, which finds uninitialized reads, at a quarter of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def this_machine(device: torch.device) -> Machine:
    if device.type == "cuda":
        capability = torch.cuda.get_device_name(device)
    else:
        capability = torch.backends.cpu.get_cpu_capability()
    return Machine(
        torch=str(torch.__version__),
        device=device.type,
        capability=capability,
        num_threads=workers.num_threads(),
        processor=platform.machine(),
    )


def differences(there: Machine, here: Machine) -> list[str]:
    """`num_threads was 2 there and is 1 here`, one each."""
    return [
        f"{name} was {getattr(there, name)!r} there and is {getattr(here, name)!r} here"
        for name in Machine.__struct_fields__
        if getattr(there, name) != getattr(here, name)
    ]
