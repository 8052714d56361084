"""The access log: a line of JSON for each request, whatever the client sent."""

from __future__ import annotations

import json
import select
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.telemetry.access_log import FLUSH_BYTES, FLUSH_SECONDS, AccessLog


class Timer:
    """A loop's `call_later`, fired by hand."""

    def __init__(self) -> None:
        self.armed: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay: float, callback: Callable[[], None]) -> None:
        self.armed.append((delay, callback))

    def fire(self) -> None:
        self.armed.pop(0)[1]()


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def written() -> list[bytes]:
    return []


@pytest.fixture
def log(written: list[bytes], timer: Timer) -> AccessLog:
    return AccessLog(written.append, timer)


def lines_of(record: Any) -> list[bytes]:
    written: list[bytes] = []
    log = AccessLog(written.append, Timer())
    log.log(record)
    log.flush()
    return b"".join(written).splitlines(keepends=True)


def line_of(record: Any) -> dict[str, Any]:
    [line] = lines_of(record)
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_request_is_one_line_of_json(finished: Callable[..., Any]) -> None:
    assert line_of(finished()) == {
        "time": "2026-10-26T07:33:20.250Z",
        "request_id": "0192f0c1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "client": "192.0.2.17",
        "method": "GET",
        "host": "api.example.com",
        "path": "/orders/4711",
        "service": "orders",
        "route": "GET /orders",
        "application": "mobile",
        "plan": "gold",
        "subject": "f3b1c0de",
        "proof": "jwt:keycloak",
        "status": 200,
        "reason": "ok",
        "upstream": "https://orders-1.internal:8443",
        "limit": "100 hits per minute",
        "shadow": None,
        "charged": {"hits": 1},
        "ledger": None,
        "bytes_in": 0,
        "bytes_out": 512,
        "ms": 3.5,
        "upstream_ms": 2.0,
        "remaining": 42,
    }


def test_what_is_not_known_is_null(finished: Callable[..., Any]) -> None:
    refused = finished(
        service=None, template=None, application=None, plan=None, subject=None, proof=None, status=404,
        reason="no_service", upstream_seconds=None, upstream_name=None, limit=None, remaining=None,
        charged=None,
    )  # fmt: skip
    line = line_of(refused)
    assert (line["status"], line["reason"]) == (404, "no_service")
    unknown = [
        "service",
        "route",
        "application",
        "plan",
        "subject",
        "proof",
        "upstream",
        "upstream_ms",
        "limit",
        "charged",
        "remaining",
    ]
    assert [line[name] for name in unknown] == [None] * len(unknown)


def test_as_many_metrics_are_told_as_a_line_has_room_for(finished: Callable[..., Any]) -> None:
    charged = {"hits": 1, "x" * 120: 2, "tokens": 10**15}
    assert line_of(finished(charged=charged))["charged"] == {"hits": 1, "tokens": 10**15}
    assert line_of(finished(charged={}))["charged"] == {}


@pytest.mark.parametrize("mode", ["open", "local"])
def test_a_request_that_was_let_in_without_the_store_says_so(mode: str, finished: Callable[..., Any]) -> None:
    line = line_of(finished(ledger=mode, limit=None, remaining=None))
    assert (line["ledger"], line["limit"], line["remaining"], line["status"]) == (mode, None, None, 200)


def test_a_request_that_a_limit_in_shadow_would_have_refused_says_so(finished: Callable[..., Any]) -> None:
    line = line_of(finished(shadow="hits-day"))
    assert (line["shadow"], line["limit"], line["status"]) == ("hits-day", "100 hits per minute", 200)


def test_requests_of_one_second_share_its_text_and_those_of_others_do_not(
    log: AccessLog, written: list[bytes], finished: Callable[..., Any]
) -> None:
    for started in (0.0, 0.9999, 1.0, 0.5):
        log.log(finished(started=started))
    log.flush()
    times = [json.loads(line)["time"][17:] for line in written[0].splitlines()]
    assert times == ["00.000Z", "00.999Z", "01.000Z", "00.500Z"]


def test_the_same_request_with_another_outcome_is_another_line(
    log: AccessLog, written: list[bytes], finished: Callable[..., Any]
) -> None:
    for status, reason in ((200, "ok"), (200, "client_abort"), (502, "upstream_unreachable")):
        log.log(finished(status=status, reason=reason))
    log.flush()
    lines = map(json.loads, written[0].splitlines())
    assert [(line["status"], line["reason"]) for line in lines] == [
        (200, "ok"), (200, "client_abort"), (502, "upstream_unreachable"),
    ]  # fmt: skip


@given(
    method=st.binary(max_size=40),
    host=st.binary(max_size=300),
    path=st.binary(max_size=3000),
    texts=st.lists(st.text(max_size=400), min_size=5, max_size=5),
)
@example(
    method=b"GET",
    host=b'a"b',
    path=b'/x","status":200,"y":"\r\n{"forged":1}\x1b[2J\x7f\\',
    texts=["\U0001f600" * 400] * 5,
)
@example(method=b"\xff" * 40, host=b"\xff" * 300, path=b"\xff" * 3000, texts=["\x00" * 400] * 5)
def test_a_hostile_client_can_neither_forge_a_line_nor_make_it_so_long_that_workers_mix_theirs(
    finished: Callable[..., Any], method: bytes, host: bytes, path: bytes, texts: list[str]
) -> None:
    request_id, peer, subject, application, template = texts
    record = finished(
        method=method, host=host, path=path, request_id=request_id, trace_id=request_id, peer=peer, subject=subject,
        application=application, template=template, service=template, plan=template, upstream_name=template,
        limit=template, shadow=template, reason=template, ledger=template, proof=template,
        bytes_in=2**63, bytes_out=2**63, remaining=2**63, charged={f"metric{n}": 10**15 for n in range(99)},
    )  # fmt: skip
    [line] = lines_of(record)
    assert len(line) <= select.PIPE_BUF
    assert line.isascii() and line[:-1].decode().replace("\x7f", "").isprintable()
    fields = json.loads(line)
    assert len(fields) == 25
    assert fields["status"] == 200


@given(path=st.binary(max_size=120))
def test_a_path_is_written_whole_where_it_fits(finished: Callable[..., Any], path: bytes) -> None:
    assert line_of(finished(path=path))["path"] == path.decode("utf-8", "backslashreplace")


def test_a_long_path_is_cut_with_an_ellipsis(finished: Callable[..., Any]) -> None:
    path = line_of(finished(path=b"/" + b"x" * 5000))["path"]
    assert path.startswith("/xxx") and path.endswith("x…")
    assert 650 < len(path) < 712


def test_lines_wait_for_each_other_at_most_100_ms(
    log: AccessLog, timer: Timer, written: list[bytes], finished: Callable[..., Any]
) -> None:
    log.log(finished())
    log.log(finished())
    assert (written, [delay for delay, _ in timer.armed]) == ([], [FLUSH_SECONDS])
    timer.fire()
    assert [batch.count(b"\n") for batch in written] == [2]
    log.log(finished())
    assert len(timer.armed) == 1
    timer.fire()
    assert [batch.count(b"\n") for batch in written] == [2, 1]


def test_many_lines_are_written_at_once_and_not_kept_for_the_timer(
    log: AccessLog, timer: Timer, written: list[bytes], finished: Callable[..., Any]
) -> None:
    logged = 0
    while not written:
        log.log(finished())
        logged += 1
    assert FLUSH_BYTES <= len(written[0]) < FLUSH_BYTES + 1000
    timer.fire()
    assert sum(batch.count(b"\n") for batch in written) == logged


def test_the_memory_of_formatted_parts_is_bounded(log: AccessLog, finished: Callable[..., Any]) -> None:
    for number in range(10_000):
        log.log(finished(subject=f"user-{number}"))
    assert len(log._contexts) <= 4096
