"""The OpenAI-compatible HTTP front: `/v1/models`, `/v1/completions`, `/v1/chat/completions`.

Builds the same requests as gRPC and gives them to the same `answer`: checks, admission, pinning and
feedback are shared. What it takes, ignores and refuses stands in `docs/operations.md`.
"""
