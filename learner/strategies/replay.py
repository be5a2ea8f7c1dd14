"""New text beside old: the memory's share of each step is predicted like all the rest.

Source: Rolnick et al., Experience Replay for Continual Learning, 2019 (arXiv:1811.11682); the share
is of examples, not of tasks.
"""

from learner.strategies.term import Term


class Replay(Term):
    uses_memory = True
    is_pure = True
