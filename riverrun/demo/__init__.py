"""The main job, shown: ask, tell the model through Kafka while it serves, ask again.

`run.py` is the story from start to end; it drives the same public parts that a user has: the
supervisor, the producer, the gRPC client, the store.
"""
