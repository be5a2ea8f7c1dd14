"""gRPC out: answers from a pinned version, while newer versions arrive."""
