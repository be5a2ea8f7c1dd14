"""The model, on this machine before the processes that need it start.

Two children that fetch at once would each wait with no bar to see. Called by `riverrun up` and the
demo. Fetching happens in a process of its own: writing weights needs torch, which a supervisor
has no use for.
"""

import subprocess
import sys

from riverrun.errors import ProcessFailed
from riverrun.model import zoo


def fetch_model(name: str) -> None:
    """Fetch the model `name` if it is not here; its progress goes to stderr.

    Raises UnknownModel, ProcessFailed (why is on stderr by then).
    """
    if zoo.located(name) is not None:
        return
    done = subprocess.run(
        [sys.executable, "-m", "riverrun", "model", "fetch", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise ProcessFailed(f"the model {name} could not be fetched", [], done.returncode)
