"""What all processes share, and the front door.

    import riverrun

    with riverrun.Client("127.0.0.1:50051") as client:
        print(client.generate("The capital of France is").text)

Knows nothing of how text is cleaned, learned from or served: `stream`, `learner` and `serving`
import this package, never one another. Importing it is cheap: a name below is loaded when it is
first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riverrun.answers import (
        Answer,
        Embeddings,
        FeedbackReceipt,
        Outcome,
        Scores,
        Status,
        StoredVersion,
        TokenCount,
        Version,
    )
    from riverrun.client import AnswerStream, AsyncAnswerStream, AsyncClient, Client
    from riverrun.errors import InvalidValue, RequestFailed, RiverrunError
    from riverrun.producer import Producer
    from riverrun.receipt import Receipt

__version__ = "0.1.0"

_HOMES = {
    "riverrun.answers": (
        "Answer",
        "Embeddings",
        "FeedbackReceipt",
        "Outcome",
        "Scores",
        "Status",
        "StoredVersion",
        "TokenCount",
        "Version",
    ),
    "riverrun.client": ("AnswerStream", "AsyncAnswerStream", "AsyncClient", "Client"),
    "riverrun.errors": ("InvalidValue", "RequestFailed", "RiverrunError"),
    "riverrun.producer": ("Producer",),
    "riverrun.receipt": ("Receipt",),
}

__all__ = [
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncClient",
    "Client",
    "Embeddings",
    "FeedbackReceipt",
    "InvalidValue",
    "Outcome",
    "Producer",
    "Receipt",
    "RequestFailed",
    "RiverrunError",
    "Scores",
    "Status",
    "StoredVersion",
    "TokenCount",
    "Version",
    "__version__",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
