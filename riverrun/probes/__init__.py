"""The built-in probe groups: data only, read by `learner/probes/tasks.py`."""
