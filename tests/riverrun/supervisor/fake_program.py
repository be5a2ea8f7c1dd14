"""A process of a system that does nothing: it takes its lock, says that it is ready, and waits.

    python fake_program.py NAME DATA_DIR [HOW]

HOW: `fails` (an error, exit code 1), `refuses` (a usage error, exit code 2), `deaf` (ignores
SIGTERM), `stuck` (never ready), `parent` (with a child of its own).
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

from riverrun.process import process
from riverrun.settings.load import load_settings
from riverrun.workspace import ProcessName


def main(name: ProcessName, data_dir: Path, how: str) -> int:
    if how in ("fails", "refuses"):
        sys.stderr.write(f"error: {name} cannot\n")
        return 2 if how == "refuses" else 1
    with process(name, load_settings(data_dir, running=True), 0) as running:
        detail = ""
        if how == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if how == "parent":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            detail = str(child.pid)
        if how != "stuck":
            running.announce("ready", address="127.0.0.1:1", detail=detail)
        running.stop.wait()
        running.announce("draining")
    return 0


if __name__ == "__main__":
    how = sys.argv[3] if len(sys.argv) > 3 else "well"
    sys.exit(main(cast(ProcessName, sys.argv[1]), Path(sys.argv[2]), how))
