"""Where downloaded and derived files live that can be made again at any time.

Called by the model zoo and the embedded broker.
"""

import os
from pathlib import Path


def cache_dir() -> Path:
    """`$RIVERRUN_CACHE`, else `$XDG_CACHE_HOME/riverrun`, else `~/.cache/riverrun`."""
    if chosen := os.environ.get("RIVERRUN_CACHE"):
        return Path(chosen).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "riverrun"
    return Path.home() / ".cache" / "riverrun"
