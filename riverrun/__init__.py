"""What all processes share, and the front door.

Knows nothing of how text is cleaned, learned from or served: `stream`, `learner`
and `serving` import this package, never one another.
"""

__version__ = "0.1.0"
