"""What is told of a call when it ends: metrics always, a line in the log where it is asked for.

Never the prompt, the answer or the token. Called by both fronts.
"""

import logging

from serving.call import Call
from serving.tally import Tally

log = logging.getLogger("riverrun.access")


class AccessLog:
    """One for all fronts of a server."""

    def __init__(self, tally: Tally, *, writes_lines: bool) -> None:
        self._tally = tally
        self._writes_lines = writes_lines

    def ended(self, call: Call, method: str, code: str, seconds: float) -> None:
        """
        method: a name of ours, never the caller's: it becomes a label.
        code: the gRPC code's name, for HTTP too.
        """
        metrics = self._tally.metrics
        metrics.requests.labels(method, code).inc()
        metrics.request_seconds.labels(method).observe(seconds)
        if call.version is not None:
            age = self._tally.age_of(call.version)
            metrics.answer_seconds.labels(age, code).observe(seconds)
        if self._writes_lines:
            fields = {
                "method": method,
                "code": code,
                "version": call.version or "-",
                "prompt_tokens": call.num_prompt_tokens,
                "completion_tokens": call.num_tokens,
                "seconds": round(seconds, 6),
                "by": call.by or "-",
            }
            extra = {"request_id": call.request_id, "fields": fields}
            log.info("call", extra=extra)
