"""The bodies of completions and of chat completions, whole and in pieces.

Plain dicts, as they are sent. Called by `serving/http/answers.py`.
"""

from collections.abc import Iterable
from typing import Any

from riverrun.tokenizer import Tokenizer
from serving.sequence import End, FinishReason, TokenLogprob

REASONS = {
    FinishReason.END: "stop",
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
}


def usage(end: End) -> dict[str, int]:
    return {
        "prompt_tokens": end.num_prompt_tokens,
        "completion_tokens": end.num_tokens,
        "total_tokens": end.num_prompt_tokens + end.num_tokens,
    }


class CompletionShape:
    """`text_completion`, whole and streamed."""

    prefix = "cmpl-"
    whole_object = piece_object = "text_completion"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.opening: dict[str, Any] | None = None
        self._offset = 0

    def whole(
        self, text: str, logprobs: list[TokenLogprob] | None, reason: FinishReason
    ) -> dict[str, Any]:
        return self.piece(text, logprobs, reason)

    def piece(
        self, text: str, logprobs: Iterable[TokenLogprob] | None, reason: FinishReason | None
    ) -> dict[str, Any]:
        """One choice, of the text since the last piece."""
        return {
            "index": 0,
            "text": text,
            "logprobs": None if logprobs is None else self._logprobs(logprobs),
            "finish_reason": None if reason is None else REASONS[reason],
        }

    def _logprobs(self, logprobs: Iterable[TokenLogprob]) -> dict[str, Any]:
        found: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        for one in logprobs:
            text = _shown(self._tokenizer, one.token)
            found["tokens"].append(text)
            found["token_logprobs"].append(one.logprob)
            top = {_shown(self._tokenizer, token): logprob for token, logprob in one.top}
            found["top_logprobs"].append(top)
            found["text_offset"].append(self._offset)
            self._offset += len(text)
        return found


class ChatShape:
    """`chat.completion`, and its chunks."""

    prefix = "chatcmpl-"
    whole_object = "chat.completion"
    piece_object = "chat.completion.chunk"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.opening: dict[str, Any] | None = {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }

    def whole(
        self, text: str, logprobs: list[TokenLogprob] | None, reason: FinishReason
    ) -> dict[str, Any]:
        return {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs(logprobs),
            "finish_reason": REASONS[reason],
        }

    def piece(
        self, text: str, logprobs: Iterable[TokenLogprob] | None, reason: FinishReason | None
    ) -> dict[str, Any]:
        """One choice, of the text since the last piece."""
        return {
            "index": 0,
            "delta": {"content": text} if text or reason is None else {},
            "logprobs": self._logprobs(logprobs),
            "finish_reason": None if reason is None else REASONS[reason],
        }

    def _logprobs(self, logprobs: Iterable[TokenLogprob] | None) -> dict[str, Any] | None:
        if logprobs is None:
            return None
        return {
            "content": [
                {
                    **self._token(one.token, one.logprob),
                    "top_logprobs": [self._token(token, logprob) for token, logprob in one.top],
                }
                for one in logprobs
            ],
            "refusal": None,
        }

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        is_known = self._tokenizer.is_byte_level
        return {
            "token": _shown(self._tokenizer, token),
            "logprob": logprob,
            "bytes": list(self._tokenizer.token_bytes(token)) if is_known else None,
        }


Shape = CompletionShape | ChatShape


def _shown(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.decode([token], keep_special=True)
