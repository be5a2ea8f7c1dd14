"""Text taken out of the weights again: a new line, learned from the log without it.

`intent.py` says what is to be left out, `plan.py` what that costs, `carry_out.py` does it.
"""
