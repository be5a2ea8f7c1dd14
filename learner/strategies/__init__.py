"""What a step minimizes: one small file a strategy, behind the protocol of `protocol.py`."""
