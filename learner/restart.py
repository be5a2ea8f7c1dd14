"""The learner begins anew, in the same process: its history is about to be another one.

Raised by whoever has written an intent (`learner/undo/intent.py`), let out by the loop, caught by
`start.py`, which puts the parts together anew and carries the intent out.
"""


class Restart(Exception):
    """Let go of the state as it is: no checkpoint of it is wanted."""
