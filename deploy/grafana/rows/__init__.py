"""The rows of the dashboard, in the order of a record's way: one file a row."""

from rows import learner, learning, processes, serving, stream, versions

ROWS = [stream.ROW, learner.ROW, learning.ROW, versions.ROW, serving.ROW, processes.ROW]
