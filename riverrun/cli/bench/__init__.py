"""`riverrun bench NAME`: measure what the documents claim. A file for each part of the system.

Of the package, only this folder looks up to `bench`, and late.
"""

from riverrun.cli.bench import facts, learner, serving, stream
from riverrun.cli.bench.group import bench

__all__ = ["bench", "facts", "learner", "serving", "stream"]
