"""Into the journal, however long the disk takes: nothing may follow before it is there.

Called by `loop.py` and `promotion.py`.
"""

import logging
import threading

from learner.journal import Entry, Journal

RETRY_S = 2.0
"""Pause before something that the disk refused is tried again."""

log = logging.getLogger(__name__)


def write_down(journal: Journal, entry: Entry, stop: threading.Event) -> bool:
    """False when stopped before it was there: the step is in the checkpoint that follows, or it
    never happened.
    """
    while True:
        try:
            journal.append(entry)
        except OSError as error:
            log.error("the journal cannot be written, trying again: %s", error)
            if stop.wait(RETRY_S):
                return False
        else:
            return True
