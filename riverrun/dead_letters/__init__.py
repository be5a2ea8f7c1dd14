"""The dead letters: read, the record behind one fetched, records sent back after a fix, once.

`letters.py` reads both (through `topic_reader.py`), `send_back.py` writes records to `raw` again,
`resume.py` ends a source's pause. Called by `riverrun dead-letters`. kafka-python is imported when
Kafka is asked.
"""
