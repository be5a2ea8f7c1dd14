"""A program that becomes another one, which ends when its parent does (Linux).

    python -I -S launch.py PARENT_PID COMMAND…

The kernel sends SIGTERM when the parent is gone, even by SIGKILL; Kafka then closes its files.
Elsewhere than on Linux nothing is arranged, and the next start ends the orphan (`orphans.py`).
Imports nothing of riverrun, so that it costs 20 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(sys.argv[1]):  # it died before the kernel was told
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])
