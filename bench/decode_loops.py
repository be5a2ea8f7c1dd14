"""What the compiled loops between a pass's products are worth: one engine with them and without, in
turn, by processor time, which other work on the machine disturbs less than the wall's.

    python -m bench.decode_loops tiny smollm2

The limit is that of `bench/decode.py`: the products as torch alone runs them.
"""

import statistics
import time

import click
import torch

from bench.decode import PROMPT_TOKENS, Ours
from riverrun.model.files import load_config
from riverrun.model.zoo import locate
from serving.precision import choose

BATCHES = (1, 4, 16)
ROUNDS = 9


@click.command()
@click.argument("models", nargs=-1, required=True)
@torch.inference_mode()
def main(models: tuple[str, ...]) -> None:
    """Microseconds of a step, and the limit's share of it, without the loops and with them."""
    torch.set_num_threads(1)
    for name in models:
        directory = locate(name)
        config = load_config(directory)
        form = choose(config, "auto", torch.device("cpu"))
        ours = Ours(directory, config, form, max(BATCHES))
        for batch in BATCHES:
            click.echo(f"{name} {form}, {batch} rows: {_compared(ours, batch)}")


def _compared(ours: Ours, batch: int) -> str:
    prompts = torch.randint(0, 256, (batch, PROMPT_TOKENS)).tolist()
    loops = ours.runner.loops
    if loops is None:
        raise click.ClickException("the loops cannot be used here: the log says why")
    steps: dict[bool, list[float]] = {False: [], True: []}
    shares: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS + 1):
        limit = sum(ours.limit(batch, time.thread_time))
        for is_looping in steps:
            ours.runner.loops = loops if is_looping else None
            step = ours.decode([list(prompt) for prompt in prompts], time.thread_time)[2]
            if number > 0:
                steps[is_looping].append(step)
                shares[is_looping].append(limit / step)
    before, after = (
        f"{statistics.median(steps[key]) * 1e6:.0f} us, {statistics.median(shares[key]):.2f}"
        for key in steps
    )
    return f"{before} -> {after}"


if __name__ == "__main__":
    main()
