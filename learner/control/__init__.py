"""What operators tell the learner, between two steps: each command carried out once, and answered.

`commands.py` listens, `choices.py` says what a command comes to or why it is refused, `effects.py`
does it, `undoing.py` where that takes another line of weights; `answers.py` tells what came of it
and `standing.py` keeps how far all this is. `control.py` puts them in order, `setup.py` puts
them together.
"""
