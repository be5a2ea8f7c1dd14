"""Lower priority for whoever may wait, so that serving comes first.

The kernel weighs tasks against each other within a session only, where it groups them by session
(sched_autogroup, on by default in most distributions). So all processes of a system share the
supervisor's session, and each leads a process group of its own. On Linux both functions speak of
the thread that calls them, and of those that it starts afterwards.

Called by the learner and the tools that do its work.
"""

import os

YIELDING = 10
"""The nice value of a program of one thread: a tenth of a core that somebody else wants too."""
SHARING = 3
"""Of one of several threads: half the weight of what is not nice. Its step ends with its slowest
thread, which shares a core with serving; two such threads weigh what one of serving does."""


def step_back(nice: int | None, *, num_threads: int = 1) -> None:
    """Be nice, 0 to 19; without a number 10, and 3 for a program of several threads."""
    if nice is None:
        nice = YIELDING if num_threads == 1 else SHARING
    os.nice(nice)


def yield_core() -> bool:
    """Run only while nobody else wants the core, which whoever wakes up takes at once; beside a
    nice thread he waits for the end of its time slice. There is no way back without privileges.

    False where the kernel has no such class (SCHED_IDLE), and nothing was changed.
    """
    if not hasattr(os, "SCHED_IDLE"):
        return False
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return True
