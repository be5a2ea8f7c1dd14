"""What turns gradients into changed weights.

`parameters.py` says which weights learn and which of them are hidden matrices, `muon.py` is Muon,
`optimizer.py` puts it and torch's AdamW together as one thing with one state by name.
"""

from learner.optimizer.optimizer import Optimizer
from learner.optimizer.parameters import learning_parameters

__all__ = ["Optimizer", "learning_parameters"]
