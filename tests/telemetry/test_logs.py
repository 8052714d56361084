"""The process's own log: JSON lines without credentials."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.telemetry.logs import JsonFormatter, log_to, redact


@pytest.fixture
def written() -> Iterator[list[bytes]]:
    """What the whole process logs while the test runs."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    lines: list[bytes] = []
    log_to(lines.append)
    yield lines
    root.handlers, root.level = handlers, level


def only(written: list[bytes]) -> dict[str, Any]:
    [line] = written
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_record_is_one_line_with_its_extra_fields(written: list[bytes]) -> None:
    logging.getLogger("gateway.supervisor").info("serving %d services", 3, extra={"listen": "0.0.0.0:8080"})
    line = only(written)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "gateway.supervisor",
        "message": "serving 3 services",
        "listen": "0.0.0.0:8080",
    }


def test_times_are_utc_with_milliseconds() -> None:
    record = logging.makeLogRecord({"msg": "x", "created": 1_793_000_000.25})
    assert json.loads(JsonFormatter().format(record))["time"] == "2026-10-26T07:33:20.250Z"


def test_an_error_brings_its_traceback_on_the_same_line(written: list[bytes]) -> None:
    try:
        raise OSError("cannot reach redis://gw:hunter2@store:6379/0")
    except OSError:
        logging.getLogger("gateway").exception("the store is away")
    line = only(written)
    assert line["error"].startswith("Traceback") and "\n" in line["error"]
    assert b"hunter2" not in written[0]


def test_what_the_level_excludes_is_not_written(written: list[bytes]) -> None:
    logging.getLogger("gateway").debug("a detail")
    assert written == []


def test_the_http_clients_urls_stay_out_of_the_log(written: list[bytes]) -> None:
    logging.getLogger("httpx2").info("HTTP Request: POST https://hooks.example.com/T0/secret")
    assert written == []


def test_a_value_that_is_not_json_is_written_as_text(written: list[bytes]) -> None:
    logging.getLogger("gateway").info("x", extra={"where": {"store": object}})
    assert "class 'object'" in only(written)["where"]["store"]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("redis://user:word@host:6379/0", "redis://***@host:6379/0"),
        ("rediss://:word@host", "rediss://***@host"),
        ("at https://a:b@c/d?e and http://f:g@h", "at https://***@c/d?e and http://***@h"),
        ("redis://:p/w@rd#x?@host", "redis://***@host"),
        ("https://example.com/orders mail ops@example.com", "https://example.com/orders mail ops@example.com"),
        ("no url: a@b", "no url: a@b"),
    ],
)
def test_credentials_in_urls_are_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize("password", ["wo'rd", 'wo"rd', "wo\\rd", "wörd"])
def test_a_password_is_redacted_in_json_too(password: str, written: list[bytes]) -> None:
    url = f"redis://gw:{password}@store/0"
    logging.getLogger("gateway").warning("cannot reach %s", url, extra={"store": {"url": url}})
    line = only(written)
    assert line["message"] == "cannot reach redis://***@store/0"
    assert line["store"] == {"url": "redis://***@store/0"}
