"""The embedded Apache Kafka: its jars, its Java process, its topics.

Knows nothing of what the topics carry. `riverrun broker` runs it (`main.py`); the topics are made
in any other Kafka by the same code (`topics.py`).
"""
