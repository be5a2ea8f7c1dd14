"""Log lines: the same facts for people and as JSON."""

import json
import logging
import sys

import pytest

from riverrun.log_lines import LogFormat, formatter


def line(form: LogFormat, **more: object) -> str:
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        failed = sys.exc_info() if more.pop("failed", False) else None
    record = logging.LogRecord("serving.x", logging.INFO, "x.py", 1, "%d of %s", (3, "ü"), failed)
    vars(record).update(more)
    return formatter(form).format(record)


def test_a_line_for_people_has_id_and_fields() -> None:
    assert line("text").endswith("INFO serving.x: 3 of ü")
    told = line("text", request_id="r1", fields={"code": "OK", "seconds": 0.5})
    assert told.endswith("INFO serving.x: [r1] 3 of ü code=OK seconds=0.5")
    assert "ZeroDivisionError: no" in line("text", failed=True)


def test_a_json_line_is_one_line_with_the_same() -> None:
    told = json.loads(line("json", request_id="r1", fields={"code": "OK"}))
    assert told.pop("at").endswith("+00:00")
    assert told == {
        "level": "INFO",
        "logger": "serving.x",
        "message": "3 of ü",
        "request_id": "r1",
        "code": "OK",
    }
    failed = line("json", failed=True)
    assert "\n" not in failed
    assert "ZeroDivisionError: no" in json.loads(failed)["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_without_id_or_fields_has_none(form: LogFormat) -> None:
    assert "request_id" not in line(form)
    assert "[" not in line(form)
