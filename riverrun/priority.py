"""Lower priority for whoever may wait, so that serving comes first.

A nice value counts within a session only where Linux groups tasks by session (sched_autogroup, on
by default in most distributions): the supervisor gives each process a session of its own, and there
the group has to be nice as well. In a session that others share, such as a terminal's, the group
is left alone.

Called by the learner and the tools that do its work.
"""

import logging
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
log = logging.getLogger(__name__)


def step_back(nice: int, *, with_session: bool = True, autogroup: Path = AUTOGROUP) -> None:
    """Be `nice` (0 to 19), and the session too, if wanted, when this process leads it."""
    os.nice(nice)
    if not with_session or os.getsid(0) != os.getpid() or not autogroup.exists():
        return
    try:
        autogroup.write_text(str(nice))
    except OSError as error:
        log.warning("the scheduler's group keeps its priority: %s", error)
