"""Whether what was just learned may be served, and what to do when it may not.

`judge.py` measures a candidate, `rules.py` says what follows, `decisions.py` makes it history.
"""
