"""`killing.py N COMMAND…`: riverrun that kills itself just before its Nth change of a file.

Counted are opens for writing, renames, links and removals in the journal, the checkpoints, the
lease and the store: what a crash can come between. Nothing in riverrun knows of it.
"""

import os
import signal
import sys

PLACES = ("/learner/", "/store/")
EVENTS = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.utime")


def main() -> int:
    left = int(sys.argv.pop(1))

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in EVENTS:
            return
        if not any(place in str(arguments[0]) for place in PLACES):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    from riverrun.cli import main as riverrun

    return riverrun()


if __name__ == "__main__":
    sys.exit(main())
