"""`killing.py N COMMAND…`: riverrun that kills itself just before its Nth change of a file.

Counted are opens for writing, renames, links and removals in the journal, the checkpoints, the
lease and the store: what a crash can come between. Nothing in riverrun knows of it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

EVENTS = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")


def die_at(number: int, *places: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook: SIGKILL just before change `number` of a file with one of `places` in it."""
    left = number

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in EVENTS:
            return
        if not any(place in str(arguments[0]) for place in places):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return look


def killed(work: Callable[[Callable[[], None]], object], number: int, place: str) -> bool:
    """Do `work` in a child, killed just before change `number` in `place`; False if it ended.

    work: is given what begins the count.
    """
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work(lambda: sys.addaudithook(die_at(number, place)))
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def main() -> int:
    sys.addaudithook(die_at(int(sys.argv.pop(1)), "/learner/", "/store/"))
    from riverrun.cli import main as riverrun

    return riverrun()


if __name__ == "__main__":
    sys.exit(main())
