"""Text taken out of the weights again: a new line, learned from the log without it.

`intent.py` says what is to be left out, `plan.py` what that costs; `take_over.py` carries it out: a
new line is learned (`new_line.py`) beside the old one, whose place it then takes (`side.py`).
"""
