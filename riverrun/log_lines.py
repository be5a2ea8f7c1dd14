"""The form of log lines: for people, or one JSON object each.

A record may carry a `request_id` and `fields` (by `extra=`); both forms show them. Called by
`riverrun/process.py`.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

LogFormat = Literal["text", "json"]


def formatter(form: LogFormat) -> logging.Formatter:
    return JsonLines() if form == "json" else TextLines()


class TextLines(logging.Formatter):
    """`2026-11-24 14:00:00,000 INFO serving.main: [request id] message key=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        said = record.message
        request_id = getattr(record, "request_id", None)
        fields: dict[str, Any] = getattr(record, "fields", {})
        if request_id is not None:
            record.message = f"[{request_id}] {record.message}"
        record.message += "".join(f" {key}={value}" for key, value in fields.items())
        try:
            return super().formatMessage(record)
        finally:
            record.message = said


class JsonLines(logging.Formatter):
    """`{"at": …, "level": …, "logger": …, "message": …}`, and what else the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            line["request_id"] = request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
