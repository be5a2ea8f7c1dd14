"""Lower priority for whoever may wait, so that serving comes first.

The kernel weighs tasks against each other within a session only, where it groups them by session
(sched_autogroup, on by default in most distributions). So all processes of a system share the
supervisor's session, and each leads a process group of its own.

Called by the learner and the tools that do its work.
"""

import os

YIELDING = 3
"""The nice value of a learner of several threads: half the weight of what is not nice. Its step
ends with its slowest thread, which shares a core with serving; two such threads weigh what one of
serving does."""


def step_back(nice: int | None, *, num_threads: int = 1) -> None:
    """Let others go first.

    nice: 0 to 19; None: a program of one thread runs only while nobody else wants the core
    (SCHED_IDLE: whoever wakes up takes it at once, where a nice value lets the time slice end
    first), one of several is a little nice. Threads that are started later do the same.
    """
    if nice is not None:
        os.nice(nice)
    elif num_threads > 1:
        os.nice(YIELDING)
    elif hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)
